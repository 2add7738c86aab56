"""`video-ae view`."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command, add_shared


def add_to(commands: Any) -> None:
    """Adds `view`.

    Args:
        commands: of the parser that the commands are added to.
    """
    parser = add_command(commands, "view", "a web page on which an earlier reconstruction can be explored", _view)
    parser.add_argument("directory", type=Path, metavar="DIR", help="what `video-ae reconstruct` wrote")
    parser.add_argument("--port", type=int, metavar="N", help="of the page (default: 8080)")
    parser.add_argument(
        "--host", metavar="ADDRESS", help="who can reach it (default: 127.0.0.1, this machine only; 0.0.0.0: everybody)"
    )
    add_shared(parser, "device")


def _view(**given: Any) -> None:
    from video_ae.viewer import require_viser

    require_viser()
    from video_ae.viewer.serve import view_reconstruction

    view_reconstruction(**given)
