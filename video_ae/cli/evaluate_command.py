"""`video-ae evaluate poses | views | reconstruction | transfer | peers | paper`."""

import argparse
from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command, add_shared


def add_to(commands: Any) -> None:
    """Adds `evaluate` with its kinds.

    Args:
        commands: of the parser that the commands are added to.
    """
    evaluate = add_command(commands, "evaluate", "measure against true cameras and held-out frames", None)
    kinds = evaluate.add_subparsers(dest="subcommand", required=True, metavar="KIND")
    _add_poses(kinds)
    _add_views(kinds)
    _add_scenes(kinds)
    _add_peers(kinds)
    _add_paper(kinds)


def _add_poses(kinds: Any) -> None:
    parser = add_command(kinds, "poses", "camera poses against the true ones", _poses)
    _evaluated_data(parser)
    _focal(parser)
    _evaluated_model(parser)
    _beside(parser)
    parser.add_argument("--peers", action="store_true", help="the installed peers stand in the table too")
    parser.add_argument("--diagnose", action="store_true", help="also look whether the poses encode nothing but time")


def _add_views(kinds: Any) -> None:
    parser = add_command(kinds, "views", "held-out frames rendered from two contexts", _views)
    _evaluated_data(parser)
    _focal(parser)
    _evaluated_model(parser)
    _beside(parser)
    parser.add_argument(
        "--gaps", type=int, nargs="+", metavar="G", help="frames to the target (default: 2 4 8; onward: 1 3 5 10)"
    )
    parser.add_argument(
        "--kind", choices=("middle", "onward"), help="contexts i, i+2g and target i+g (default), or i and i+g"
    )
    parser.add_argument(
        "--hide-target", action="store_true", help="interpolate the target's camera: the model never sees the target"
    )
    parser.add_argument(
        "--no-perceptual", dest="perceptual", action="store_const", const=False,
        help="leave out LPIPS and the VGG cosine, which take longer than most methods",
    )  # fmt: skip
    parser.add_argument(
        "--save-frames", action="store_true", help="also write predictions/gap<g>/<clip>/<timestamp>.png"
    )


def _add_scenes(kinds: Any) -> None:
    parser = add_command(
        kinds, "reconstruction", "clips encoded and rendered again; depth where it is known", _reconstruction
    )
    _evaluated_data(parser)
    _evaluated_model(parser)
    _beside(parser)
    parser = add_command(kinds, "transfer", "one clip seen along the camera path found in another", _transfer)
    _evaluated_data(parser)
    _evaluated_model(parser)


def _add_peers(kinds: Any) -> None:
    parser = add_command(kinds, "peers", "COLMAP and two-view odometry, where installed, on the same frames", _peers)
    _evaluated_data(parser)
    _focal(parser)
    add_shared(parser, "overwrite")


def _add_paper(kinds: Any) -> None:
    parser = add_command(kinds, "paper", "the 2021 paper's own protocol, for its own model", _paper)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT", help="videos, or a data set with cameras (docs/data.md)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--weights", type=Path, required=True, metavar="RUN_OR_FILE", help="weights of a paper model")
    parser.add_argument("--frames", type=int, metavar="N", help="of each video, the first N (default: 30)")
    parser.add_argument(
        "--faults", nargs="*", metavar="NAME",
        help="of the original, each as a column (default: all; none: the corrected protocol alone)",
    )  # fmt: skip
    add_shared(parser, "device", "overwrite")


def _evaluated_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT", help="a data set with cameras (docs/data.md)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--seed", type=int, metavar="N", help="of whatever is drawn at random (default: 0)")


def _focal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--focal", choices=("found", "true"), help="true: methods are given the true intrinsics (default: found)"
    )


def _beside(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--beside", type=Path, nargs="+", metavar="RUN", help="weights of further models for the same table"
    )


def _evaluated_model(parser: argparse.ArgumentParser) -> None:
    add_shared(parser, "weights", "refine", "device", "overwrite")


def _poses(**given: Any) -> None:
    from video_ae.evaluation.evaluate_poses_views import evaluate_poses

    evaluate_poses(**given)
    print(f"Wrote {given['out']}: report.html, results.md, results.json and poses.")


def _views(**given: Any) -> None:
    from video_ae.evaluation.evaluate_poses_views import evaluate_views

    evaluate_views(**given)
    print(f"Wrote {given['out']}: report.html, results.md and results.json.")


def _reconstruction(**given: Any) -> None:
    from video_ae.evaluation.evaluate_scenes import evaluate_reconstruction

    evaluate_reconstruction(**given)
    print(f"Wrote {given['out']}: report.html, results.md and results.json.")


def _transfer(**given: Any) -> None:
    from video_ae.evaluation.evaluate_scenes import evaluate_transfer

    evaluate_transfer(**given)
    print(f"Wrote {given['out']}: results.md and results.json.")


def _peers(**given: Any) -> None:
    from video_ae.evaluation.evaluate_poses_views import evaluate_peers

    evaluate_peers(**given)
    print(f"Wrote {given['out']}: report.html, results.md, results.json and the first peer's poses.")


def _paper(**given: Any) -> None:
    from video_ae.evaluation.evaluate_scenes import evaluate_paper

    evaluate_paper(**given)
    print(f"Wrote {given['out']}: results.md and results.json.")
