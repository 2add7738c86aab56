"""`video-ae evaluate poses | views | reconstruction | transfer | peers | paper`."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import Parser, add_command

_POSES_VIEWS, _SCENES = "evaluation.evaluate_poses_views", "evaluation.evaluate_scenes"
_REPORT = "report.html, results.md and results.json"
_MODEL = ("--weights", "--refine", "--device", "--overwrite")


def add_to(commands: Any) -> None:
    """Adds `evaluate` with its kinds.

    Args:
        commands: of the parser that the commands are added to.
    """
    evaluate = add_command(commands, "evaluate", "measure against true cameras and held-out frames", None)
    kinds = evaluate.add_subparsers(dest="subcommand", required=True, metavar="KIND")
    for add in (_add_poses, _add_views, _add_scenes, _add_peers, _add_paper):
        add(kinds)


def _add_kind(kinds: Any, name: str, help: str, work: str, files: str = _REPORT) -> Parser:
    """A kind of evaluation with its data set."""
    parser = add_command(kinds, name, help, work, f"Wrote {{out}}: {files}.")
    parser.add_shared("--data", "--out", "--seed")
    return parser


def _add_focal(parser: Parser) -> None:
    intrinsics = "true: methods are given the true intrinsics (default: found)"
    parser.add_argument("--focal", choices=("found", "true"), help=intrinsics)


def _add_poses(kinds: Any) -> None:
    files = "report.html, results.md, results.json and poses"
    parser = _add_kind(kinds, "poses", "camera poses against the true ones", f"{_POSES_VIEWS}:evaluate_poses", files)
    _add_focal(parser)
    parser.add_shared(*_MODEL, "--beside")
    parser.add_argument("--peers", action="store_true", help="the installed peers stand in the table too")
    parser.add_argument("--diagnose", action="store_true", help="also look whether the poses encode nothing but time")


def _add_views(kinds: Any) -> None:
    work = f"{_POSES_VIEWS}:evaluate_views"
    parser = _add_kind(kinds, "views", "held-out frames rendered from two contexts", work)
    _add_focal(parser)
    parser.add_shared(*_MODEL, "--beside")
    add = parser.add_argument
    add("--gaps", type=int, nargs="+", metavar="G", help="frames to the target (default: 2 4 8; onward: 1 3 5 10)")
    add("--kind", choices=("middle", "onward"), help="contexts i, i+2g and target i+g (default), or i and i+g")
    add("--hide-target", action="store_true", help="interpolate the target's camera: the model never sees the target")
    less = "leave out LPIPS and the VGG cosine, which take longer than most methods"
    add("--no-perceptual", dest="perceptual", action="store_const", const=False, help=less)
    add("--save-frames", action="store_true", help="also write predictions/gap<g>/<clip>/<timestamp>.png")


def _add_scenes(kinds: Any) -> None:
    help = "clips encoded and rendered again; depth where it is known"
    parser = _add_kind(kinds, "reconstruction", help, f"{_SCENES}:evaluate_reconstruction")
    parser.add_shared(*_MODEL, "--beside")
    help = "one clip seen along the camera path found in another"
    parser = _add_kind(kinds, "transfer", help, f"{_SCENES}:evaluate_transfer", "results.md and results.json")
    parser.add_shared(*_MODEL)


def _add_peers(kinds: Any) -> None:
    help = "COLMAP and two-view odometry, where installed, on the same frames"
    files = "report.html, results.md, results.json and the first peer's poses"
    parser = _add_kind(kinds, "peers", help, f"{_POSES_VIEWS}:evaluate_peers", files)
    _add_focal(parser)
    parser.add_shared("--overwrite")


def _add_paper(kinds: Any) -> None:
    help, says = "the 2021 paper's own protocol, for its own model", "Wrote {out}: results.md and results.json."
    parser = add_command(kinds, "paper", help, f"{_SCENES}:evaluate_paper", says)
    add, videos = parser.add_argument, "videos, or a data set with cameras (docs/data.md)"
    add("--data", type=Path, required=True, metavar="ROOT", help=videos)
    parser.add_shared("--out")
    add("--weights", type=Path, required=True, metavar="RUN_OR_FILE", help="weights of a paper model")
    add("--frames", type=int, metavar="N", help="of each video, the first N (default: 30)")
    faults = "of the original, each as a column (default: all; none: the corrected protocol alone)"
    add("--faults", nargs="*", metavar="NAME", help=faults)
    parser.add_shared("--device", "--overwrite")
