"""`video-ae reconstruct` and `render`."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command, add_shared
from video_ae.cli.export_command import EXPORTS

PATHS = ("input", "orbit", "spiral", "dolly")  # repeated here, since the geometry needs torch


def add_to(commands: Any) -> None:
    """Adds `reconstruct` and `render`.

    Args:
        commands: of the parser that the commands are added to.
    """
    parser = add_command(commands, "reconstruct", "a video -> cameras, structure and new views", _reconstruct)
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_FRAME_FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    add_shared(parser, "weights")
    parser.add_argument("--stride", type=int, metavar="K", help="take every K-th frame (default: 1)")
    parser.add_argument("--frames", type=int, metavar="N", help="of those, the first N (default: all)")
    parser.add_argument("--focal", type=float, metavar="F", help="known fx / width (default: found)")
    parser.add_argument(
        "--export", nargs="+", metavar="NAME", help=f"{', '.join(EXPORTS)}; all (default) or none (docs/exports.md)"
    )
    add_shared(parser, "refine", "device", "overwrite", "decoder")

    parser = add_command(commands, "render", "new views of an earlier reconstruction", _render)
    parser.add_argument("directory", type=Path, metavar="DIR", help="what `video-ae reconstruct` wrote")
    parser.add_argument("--path", choices=PATHS, required=True, help="where the camera goes")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="shorter side of the frames")
    parser.add_argument("--frames", type=int, metavar="N", help="length of the path")
    add_shared(parser, "device", "overwrite")


def _reconstruct(**given: Any) -> None:
    from video_ae.pipelines.reconstruct import reconstruct_video

    print(f"Wrote {reconstruct_video(**given)}: overview.png shows what was found, cameras.json holds the cameras.")


def _render(**given: Any) -> None:
    from video_ae.pipelines.render import render_path

    print(f"Wrote {render_path(**given)}.")
