"""`video-ae export`."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command, add_shared

EXPORTS = ("kitti", "tum", "points", "gaussians", "depth", "nerfstudio", "colmap")  # repeated: the rest needs torch


def add_to(commands: Any) -> None:
    """Adds `export`.

    Args:
        commands: of the parser that the commands are added to.
    """
    parser = add_command(commands, "export", "an earlier reconstruction in other programs' formats", _export)
    parser.add_argument("directory", type=Path, metavar="DIR", help="what `video-ae reconstruct` wrote")
    parser.add_argument(
        "--to", nargs="+", required=True, metavar="NAME", help=f"{', '.join(EXPORTS)}, or all (docs/exports.md)"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: DIR itself)")
    parser.add_argument(
        "--source", type=Path, metavar="VIDEO", help="where the video is now (default: where it was reconstructed from)"
    )
    add_shared(parser, "device", "overwrite")


def _export(**given: Any) -> None:
    from video_ae.pipelines.export import export_reconstruction

    names = given.pop("to")
    print("Wrote " + ", ".join(str(path) for path in export_reconstruction(names=names, **given)) + ".")
