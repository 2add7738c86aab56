"""`video-ae`: finds the command, runs it, and turns what goes wrong into one sentence and an exit code.

Exit codes: 0 done, 2 bad input (one sentence), 130 stopped by Ctrl-C, 1 anything else (traceback: VIDEO_AE_DEBUG=1).
"""

import os
import sys
import warnings
from collections.abc import Sequence

from video_ae import __version__
from video_ae.cli import (
    evaluate_command,
    export_command,
    lecture_commands,
    motion_commands,
    prepare_command,
    reconstruct_commands,
    train_command,
    view_command,
)
from video_ae.cli.arguments import Parser
from video_ae.errors import UserError

GROUPS = (  # in the order of the help
    train_command, prepare_command, reconstruct_commands, view_command, export_command, motion_commands,
    evaluate_command, lecture_commands,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Help leaves with SystemExit(0).

    Args:
        arguments: the words after `video-ae`; by default those of this process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = os.environ.get("VIDEO_AE_DEBUG", "") not in ("", "0")
    if not debug:
        warnings.filterwarnings("ignore")  # notes from libraries to their programmers
    try:
        _run(arguments)
    except UserError as error:
        return _say(f"error: {error}{_option(arguments, error.argument)}", 2)
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "stopped.", 130)
    except Exception as error:
        if debug:
            raise
        text = " ".join(str(error).split())
        return _say(f"unexpected {type(error).__name__}: {text} (VIDEO_AE_DEBUG=1 shows where it happened)", 1)
    return 0


def build_parser() -> Parser:
    """A parser of all commands but `train`, whose options another parser knows."""
    parser = Parser(
        prog="video-ae",
        description="Learns 3D structure and camera motion from plain, unlabelled video.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"video-ae {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return parser


def _run(arguments: list[str]) -> None:
    if arguments[:1] == ["train"]:
        train_command.run(arguments[1:])
        return
    given = vars(build_parser().parse_args(arguments))
    handler = given.pop("handler")
    for name in ("command", "subcommand", "parser"):
        given.pop(name, None)
    # What was not given is left to the default of the function that does the work.
    handler(**{name: value for name, value in given.items() if value is not None})


def _option(arguments: list[str], argument: str | None) -> str:
    """` (option --x)` where the command has an option that sets a Python argument, else nothing."""
    if argument is None:
        return ""
    if arguments[:1] == ["train"]:
        option = train_command.option_of(argument)
    else:
        option = build_parser().parse_args(arguments).parser.option_of(argument)
    return "" if option is None else f" (option {option})"


def _say(text: str, code: int) -> int:
    print(f"video-ae: {text}", file=sys.stderr)
    return code
