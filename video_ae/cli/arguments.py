"""Arguments that several commands share, each said once."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from video_ae.errors import UserError


class Parser(argparse.ArgumentParser):
    """Mistakes become a UserError: one sentence, like every other one."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.rstrip('.')}: `{self.prog} --help` shows what is possible.")


def add_command(commands: Any, name: str, help: str, handler: Callable[..., None] | None) -> argparse.ArgumentParser:
    """A new command; `handler` gets what was given on the command line by name, and nothing that was not."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(handler=handler)
    return parser


def weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", type=Path, metavar="RUN_OR_FILE", help="trained weights (default: the package's own)"
    )


def refine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--refine", type=int, metavar="STEPS", help="steps of refinement on the clip; 0: feed-forward only"
    )


def device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:1, ... (default: auto)")


def overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")


def decoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--decoder", choices=("auto", "torchcodec", "pyav", "decord"), help="video reader (default: auto)"
    )
