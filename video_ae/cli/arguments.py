"""The parser, and arguments that several commands share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from video_ae.errors import UserError

SHARED: dict[str, dict[str, Any]] = {
    "weights": {"type": Path, "metavar": "RUN_OR_FILE", "help": "trained weights (default: the package's own)"},
    "refine": {"type": int, "metavar": "STEPS", "help": "steps of refinement on the clip; 0: feed-forward only"},
    "device": {"metavar": "D", "help": "auto, cpu, cuda, cuda:1, ... (default: auto)"},
    "overwrite": {"action": "store_true", "help": "replace earlier results"},
    "decoder": {"choices": ("auto", "torchcodec", "pyav", "decord"), "help": "video reader (default: auto)"},
}
"""Options that several commands share, with what `add_argument` takes."""


class Parser(argparse.ArgumentParser):
    """Raises mistakes as a UserError: one sentence, like every other one.

    Args:
        *args, **kwargs: as for `argparse.ArgumentParser`.
    """

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print.

        Args:
            message: what is wrong.

        Raises:
            UserError: always.
        """
        raise UserError(f"{message.rstrip('.')}: `{self.prog} --help` lists what it takes.")

    def option_of(self, argument: str) -> str | None:
        """The option of this command that sets a Python argument; None where there is no such option.

        Args:
            argument: its name in the function that does the work.
        """
        options = [action.option_strings for action in self._actions if action.dest == argument]
        return next((names[-1] for names in options if names), None)


def add_command(commands: Any, name: str, help: str, handler: Callable[..., None] | None) -> Parser:
    """A new command.

    Args:
        commands: of `add_subparsers`.
        name: of the command.
        help: what it does.
        handler: gets what was given on the command line by name, and nothing that was not; None where commands of its
            own follow.
    """
    parser: Parser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(handler=handler, parser=parser)
    return parser


def add_shared(parser: argparse.ArgumentParser, *names: str) -> None:
    """Adds options that several commands share.

    Args:
        parser: of the command.
        *names: keys of `SHARED`, in the order of the help.
    """
    for name in names:
        parser.add_argument(f"--{name}", **SHARED[name])
