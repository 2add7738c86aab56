"""The parser, and arguments that several commands share."""

import argparse
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn

from video_ae.errors import UserError

SHARED: dict[str, dict[str, Any]] = {
    "directory": {"type": Path, "metavar": "DIR", "help": "what `video-ae reconstruct` wrote"},
    "--out": {"type": Path, "required": True, "metavar": "DIR", "help": "folder of the results"},
    "--data": {"type": Path, "required": True, "metavar": "ROOT", "help": "a data set with cameras (docs/data.md)"},
    "--focal": {"choices": ("found", "true"), "help": "true: methods are given the true intrinsics (default: found)"},
    "--seed": {"type": int, "metavar": "N", "help": "of whatever is drawn at random (default: 0)"},
    "--beside": {"type": Path, "nargs": "+", "metavar": "RUN", "help": "weights of further models for the same table"},
    "--weights": {"type": Path, "metavar": "RUN_OR_FILE", "help": "trained weights (default: the package's own)"},
    "--stride": {"type": int, "metavar": "K", "help": "take every K-th frame (default: 1)"},
    "--frames": {"type": int, "metavar": "N", "help": "of those, the first N (default: all)"},
    "--refine": {"type": int, "metavar": "STEPS", "help": "steps of refinement (default: 4; 0: feed-forward only)"},
    "--device": {"metavar": "D", "help": "auto, cpu, cuda, cuda:1, ... (default: auto)"},
    "--overwrite": {"action": "store_true", "help": "replace earlier results"},
    "--decoder": {"choices": ("auto", "torchcodec", "pyav", "decord"), "help": "video reader (default: auto)"},
}
"""Arguments that several commands share, with what `add_argument` takes."""


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

    def add_shared(self, *names: str) -> None:
        """Adds arguments that several commands share.

        Args:
            *names: keys of `SHARED`, in the order of the help.
        """
        for name in names:
            self.add_argument(name, **SHARED[name])


def add_command(
    commands: Any, name: str, help: str, work: str | Callable[..., None] | None, says: str | Callable[..., None] = ""
) -> Parser:
    """A new command.

    Args:
        commands: of `add_subparsers`.
        name: of the command.
        help: what it does.
        work: gets what was given on the command line by name, and nothing that was not: a function, or where it is in
            this package (`module:function`); None where commands of its own follow.
        says: what is printed once the work is done, which may use `{result}` and the arguments that were given; or a
            function of these that prints it.
    """
    parser: Parser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(handler=partial(_work, work, says) if isinstance(work, str) else work, parser=parser)
    return parser


def _work(work: str, says: str | Callable[..., None], **given: Any) -> None:
    """Imports the function only now: most of them need torch, and help should not.

    Where it takes a record of settings, those that were given are put into one.
    """
    module, name = work.split(":")
    function = getattr(import_module(f"video_ae.{module}"), name)
    passed = dict(given)
    if (settings := signature(function).parameters.get("settings")) is not None:
        shared = {field.name: passed.pop(field.name) for field in fields(settings.default) if field.name in passed}
        passed["settings"] = replace(settings.default, **shared)
    result = function(**passed)
    if callable(says):
        says(result=result, **given)
    else:
        print(says.format(result=result, **given))
