"""`video-ae view`."""

from pathlib import Path
from typing import Any

from video_ae.cli import arguments
from video_ae.cli.arguments import add_command
from video_ae.errors import UserError


def add_to(commands: Any) -> None:
    parser = add_command(commands, "view", "a web page on which an earlier reconstruction can be explored", _view)
    parser.add_argument("directory", type=Path, metavar="DIR", help="what `video-ae reconstruct` wrote")
    parser.add_argument("--port", type=int, metavar="N", help="of the page (default: 8080)")
    parser.add_argument(
        "--host", metavar="ADDRESS", help="who can reach it (default: 127.0.0.1, this machine only; 0.0.0.0: everybody)"
    )
    arguments.device(parser)


def need_viser() -> None:
    """UserError where the viewer's library is not installed."""
    try:
        import viser  # noqa: F401
    except ImportError as error:
        raise UserError("The viewer needs viser: pip install 'video-ae[viewer]'.") from error


def _view(**given: Any) -> None:
    need_viser()
    from video_ae.viewer.serve import view_reconstruction

    view_reconstruction(**given)
