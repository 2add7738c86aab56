"""`video-ae reconstruct`, `render`, `view` and `export`."""

import json
from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command

PATHS = ("input", "orbit", "spiral", "dolly")  # both are repeated here, since their modules need torch
EXPORTS = (
    "kitti", "tum", "points", "gaussians", "gaussians-sh3", "compressed-ply", "spz", "sog", "gltf", "html",
    "depth", "nerfstudio", "colmap",
)  # fmt: skip


def _say_what_was_found(result: Path, **given: Any) -> None:
    """Where the results are, what could not be determined, and how far they can be trusted."""
    summary = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    print(f"Wrote {result}: overview.png shows what was found, novel_view.mp4 new views, cameras.json has the cameras.")
    print(f"Confidence {summary['confidence']['mean']:.2f} (0: a guess, 1: well determined).")
    for note in summary["notes"]:
        print(f"Note: {note}.")


def add_to(commands: Any) -> None:
    """Adds these commands.

    Args:
        commands: of the parser that the commands are added to.
    """
    help, work = "a video -> cameras, structure and new views", "pipelines.reconstruct:reconstruct_video"
    parser = add_command(commands, "reconstruct", help, work, _say_what_was_found)
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_FRAME_FOLDER")
    parser.add_shared("--out", "--weights", "--stride", "--frames")
    parser.add_argument("--focal", type=float, metavar="F", help="known fx / width (default: found)")
    parser.add_argument("--fov", type=float, metavar="DEGREES", help="or the known horizontal field of view")
    calibration = (
        "or a calibration (transforms.json, a COLMAP model, OpenCV's YAML), by which frames are undistorted; pinhole: "
        "no lens is searched for"
    )
    parser.add_argument("--camera", type=Path, metavar="FILE", help=calibration)
    names = f"{', '.join(EXPORTS)}, module.function of your own"
    parser.add_argument("--export", nargs="+", metavar="NAME", help=f"{names}; all (default) or none (docs/exports.md)")
    smaller = "shorter side of new views (default: the video's, at most 1080)"
    parser.add_argument("--size", type=int, metavar="PIXELS", help=smaller)
    parser.add_shared("--refine", "--device", "--overwrite", "--decoder")

    help = "new views of an earlier reconstruction"
    parser = add_command(commands, "render", help, "pipelines.reconstruct:render_path", "Wrote {result}.")
    parser.add_shared("directory")
    parser.add_argument("--path", choices=PATHS, required=True, help="where the camera goes")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4")
    parser.add_argument("--size", type=int, metavar="PIXELS", help=smaller)
    parser.add_argument("--frames", type=int, metavar="N", help="length of the path")
    parser.add_shared("--device", "--overwrite")

    parser = add_command(commands, "view", "a web page on which an earlier reconstruction can be explored", _view)
    parser.add_shared("directory")
    parser.add_argument("--port", type=int, metavar="N", help="of the page (default: 8080)")
    reach = "who can reach it (default: 127.0.0.1, this machine only; 0.0.0.0: everybody)"
    parser.add_argument("--host", metavar="ADDRESS", help=reach)
    secret = "in the address, without which the page is refused: random, none, or your own (default: none on 127.0.0.1)"
    parser.add_argument("--token", metavar="TEXT", help=secret)
    parser.add_shared("--device")

    parser = add_command(commands, "export", "an earlier reconstruction in other programs' formats", _export)
    parser.add_shared("directory")
    parser.add_argument("--to", nargs="+", required=True, metavar="NAME", help=f"{names}, or all (docs/exports.md)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: DIR itself)")
    moved = "where the video is now (default: where it was reconstructed from)"
    parser.add_argument("--source", type=Path, metavar="VIDEO", help=moved)
    refined = "of the refinement of Gaussians on the video's frames, 0: none (default: 1500, one to three minutes)"
    parser.add_argument("--steps", type=int, metavar="N", help=refined)
    parser.add_shared("--device", "--overwrite")


def _view(**given: Any) -> None:
    from video_ae.viewer import require_viser

    require_viser()
    from video_ae.viewer.serve import view_reconstruction

    view_reconstruction(**given)


def _export(to: list[str], **given: Any) -> None:
    from video_ae.pipelines.reconstruct import export_reconstruction

    print(f"Wrote {', '.join(map(str, export_reconstruction(names=to, **given)))}.")
