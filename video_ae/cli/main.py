"""`video-ae`: finds the command, runs it, and turns what goes wrong into one sentence and an exit code.

Exit codes: 0 done, 2 bad input (one sentence), 130 stopped by Ctrl-C, 1 anything else (traceback: VIDEO_AE_DEBUG=1).
"""

import io
import os
import sys
import warnings
from collections.abc import Sequence

from video_ae import __version__
from video_ae.cli import (
    annotate_command,
    evaluate_commands,
    motion_commands,
    reconstruction_commands,
    training_commands,
)
from video_ae.cli.arguments import Parser
from video_ae.errors import UserError, is_disk_full

GROUPS = training_commands, reconstruction_commands, motion_commands, evaluate_commands, annotate_command
_OWN = ("handler", "command", "subcommand", "parser")  # what the parser knows beside what the handler takes


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Help leaves with SystemExit(0).

    Args:
        arguments: the words after `video-ae`; by default those of this process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Threads that wait for work sleep: else they keep other programs, and each other, from the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    debug = os.environ.get("VIDEO_AE_DEBUG", "") not in ("", "0")
    if not debug:
        warnings.filterwarnings("ignore")  # notes from libraries to their programmers
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has no sign for a letter of a name shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        _run(arguments)
    except UserError as error:
        return _say(f"error: {error}{_option(arguments, error.argument)}", 2)
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "stopped.", 130)
    except Exception as error:
        if debug:
            raise
        if is_disk_full(error):
            return _say("error: the disk is full, or a limit for files is reached: make room and run it again.", 2)
        text = " ".join(str(error).split())
        return _say(f"unexpected {type(error).__name__}: {text} (VIDEO_AE_DEBUG=1 shows where it happened)", 1)
    return 0


def build_parser() -> Parser:
    """A parser of all commands but `train`, whose options another parser knows."""
    purpose = "Learns 3D structure and camera motion from plain, unlabelled video."
    parser = Parser(prog="video-ae", description=purpose, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"video-ae {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return parser


def _run(arguments: list[str]) -> None:
    if arguments[:1] == ["train"]:
        training_commands.run(arguments[1:])
        return
    given = vars(build_parser().parse_args(arguments))
    # What was not given is left to the default of the function that does the work.
    given["handler"](**{name: value for name, value in given.items() if value is not None and name not in _OWN})


def _option(arguments: list[str], argument: str | None) -> str:
    """` (option --x)` where the command has an option that sets a Python argument, else nothing."""
    if argument is None:
        return ""
    if arguments[:1] == ["train"]:
        option = training_commands.option_of(argument)
    else:
        option = build_parser().parse_args(arguments).parser.option_of(argument)
    return "" if option is None else f" (option {option})"


def _say(text: str, code: int) -> int:
    print(f"video-ae: {text}", file=sys.stderr)
    return code
