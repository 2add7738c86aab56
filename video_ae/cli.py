"""The command line `video-ae`: parsing only. What a command needs is imported when it runs, so that help is instant.

Exit codes: 0 done, 2 bad input (one sentence), 130 stopped by Ctrl-C, 1 anything else (traceback: VIDEO_AE_DEBUG=1).
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from video_ae import __version__
from video_ae.errors import UserError

PATHS = ("input", "orbit", "spiral", "dolly")


class _Parser(argparse.ArgumentParser):
    """Mistakes become a UserError: one sentence, like every other one."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.rstrip('.')}: `{self.prog} --help` shows what is possible.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Help leaves with SystemExit(0)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = os.environ.get("VIDEO_AE_DEBUG", "") not in ("", "0")
    if not debug:
        warnings.filterwarnings("ignore")  # notes from libraries to their programmers
    try:
        _run(arguments)
    except UserError as error:
        return _say(f"error: {error}", 2)
    except KeyboardInterrupt as stop:
        return _say(str(stop) or "stopped.", 130)
    except Exception as error:
        if debug:
            raise
        text = " ".join(str(error).split())
        return _say(f"unexpected {type(error).__name__}: {text} (VIDEO_AE_DEBUG=1 shows where it happened)", 1)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands but `train`'s values, which its own parser knows."""
    parser = _Parser(
        prog="video-ae",
        description="Learns 3D structure and camera motion from plain, unlabelled video.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"video-ae {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, "train", "train an autoencoder on videos (see `video-ae train --help`)", _train)
    _reconstruct_arguments(_add(commands, "reconstruct", "a video -> cameras, structure and new views", _reconstruct))
    _render_arguments(_add(commands, "render", "new views of an earlier reconstruction", _render))
    evaluate = _add(commands, "evaluate", "measure against true cameras and held-out frames", None)
    kinds = evaluate.add_subparsers(dest="subcommand", required=True, metavar="{poses,views,peers,paper}")
    poses = _add(kinds, "poses", "camera poses against the true ones", _evaluate_poses)
    _evaluate_arguments(poses)
    poses.add_argument("--peers", action="store_true", help="the installed peers stand in the table too")
    poses.add_argument("--diagnose", action="store_true", help="also look whether the poses encode nothing but time")
    peers = _add(kinds, "peers", "COLMAP and two-view odometry, where installed, on the same frames", _evaluate_peers)
    _evaluated_data(peers)
    peers.add_argument("--overwrite", action="store_true", help="replace earlier results")
    paper = _add(kinds, "paper", "the 2021 paper's own protocol, for its own model", _evaluate_paper)
    paper.add_argument("--data", type=Path, required=True, metavar="ROOT", help="videos or RealEstate10K's layout")
    paper.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    paper.add_argument("--weights", type=Path, required=True, metavar="RUN_OR_FILE", help="weights of a paper model")
    paper.add_argument("--frames", type=int, metavar="N", help="of each video, the first N (default: 30)")
    _device(paper)
    views = _add(kinds, "views", "held-out frames rendered from two contexts", _evaluate_views)
    _evaluate_arguments(views)
    views.add_argument(
        "--gaps", type=int, nargs="+", metavar="G", help="frames to the target (default: 2 4; onward: 1 3 5 10)"
    )
    views.add_argument(
        "--kind", choices=("middle", "onward"), help="contexts i, i+2g and target i+g (default), or i and i+g"
    )
    views.add_argument(
        "--hide-target", action="store_true", help="interpolate the target's camera: the model never sees the target"
    )
    views.add_argument(
        "--save-frames", action="store_true", help="also write predictions/gap<g>/<clip>/<timestamp>.png"
    )
    latent = _add(commands, "latent", "pictures of an autoencoder's codes: map, interpolations, samples", _latent)
    latent.add_argument("--weights", type=Path, required=True, metavar="RUN_OR_FILE", help="a model of single frames")
    latent.add_argument("--data", type=Path, required=True, metavar="ROOT", help="a folder of videos")
    latent.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the pictures")
    latent.add_argument("--overwrite", action="store_true", help="replace earlier pictures")
    convert = _add(commands, "convert-checkpoint", "the 2021 paper's checkpoint -> weights of this package", _convert)
    convert.add_argument("path", type=Path, metavar="AUTHORS.tar")
    convert.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    return parser


def _add(commands: Any, name: str, help: str, handler: Callable[..., None] | None) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".", allow_abbrev=False)
    parser.set_defaults(handler=handler)
    return parser


def _reconstruct_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_FRAME_FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    _weights(parser)
    parser.add_argument("--stride", type=int, metavar="K", help="take every K-th frame (default: 1)")
    parser.add_argument("--frames", type=int, metavar="N", help="of those, the first N (default: all)")
    parser.add_argument("--focal", type=float, metavar="F", help="known fx / width (default: found)")
    _work(parser)
    parser.add_argument(
        "--decoder", choices=("auto", "torchcodec", "pyav", "decord"), help="video reader (default: auto)"
    )


def _render_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="what `video-ae reconstruct` wrote")
    parser.add_argument("--path", choices=PATHS, required=True, help="where the camera goes")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="shorter side of the picture")
    parser.add_argument("--frames", type=int, metavar="N", help="length of the path")
    _device(parser)


def _evaluated_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="clips in RealEstate10K's layout")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--focal", choices=("found", "true"), help="true: methods are given the true intrinsics (default: found)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of whatever is drawn at random (default: 0)")


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    _evaluated_data(parser)
    _weights(parser)
    _work(parser)


def _weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", type=Path, metavar="RUN_OR_FILE", help="trained weights (default: the package's own)"
    )


def _work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--refine", type=int, metavar="STEPS", help="steps of refinement on the clip; 0: feed-forward only"
    )
    _device(parser)


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")


def _run(arguments: list[str]) -> None:
    if arguments[:1] == ["train"]:
        _train(arguments[1:])
        return
    given = vars(build_parser().parse_args(arguments))
    handler = given.pop("handler")
    for name in ("command", "subcommand"):
        given.pop(name, None)
    # What was not given is left to the default of the function that does the work.
    handler(**{name: value for name, value in given.items() if value is not None})


def _train(arguments: list[str]) -> None:
    from video_ae.training.config import parse_run
    from video_ae.training.run import train

    run = train(parse_run(arguments))
    print(f"Wrote {run}: weights.safetensors, config.yaml, checkpoints, pictures and metrics.")


def _reconstruct(**given: Any) -> None:
    from video_ae.applications.reconstruct import reconstruct_video

    print(f"Wrote {reconstruct_video(**given)}: overview.png shows what was found, cameras.json holds the cameras.")


def _render(**given: Any) -> None:
    from video_ae.applications.render import render_path

    print(f"Wrote {render_path(**given)}.")


def _evaluate_poses(**given: Any) -> None:
    from video_ae.evaluation.run import evaluate_poses

    evaluate_poses(**given)
    print(f"Wrote {given['out']}: report.html, results.md, results.json and poses.")


def _evaluate_views(**given: Any) -> None:
    from video_ae.evaluation.run import evaluate_views

    evaluate_views(**given)
    print(f"Wrote {given['out']}: report.html, results.md and results.json.")


def _evaluate_peers(**given: Any) -> None:
    from video_ae.evaluation.run import evaluate_peers

    evaluate_peers(**given)
    print(f"Wrote {given['out']}: report.html, results.md, results.json and the first peer's poses.")


def _latent(**given: Any) -> None:
    from video_ae.applications.latent import plot_latent

    print(f"Wrote {plot_latent(**given)}: codes_pca.png and, where the model can decode codes, what they show.")


def _evaluate_paper(**given: Any) -> None:
    from video_ae.evaluation.run import evaluate_paper

    evaluate_paper(**given)
    print(f"Wrote {given['out']}: results.md and results.json.")


def _convert(**given: Any) -> None:
    from video_ae.models.convert_paper import convert_checkpoint

    print(f"Wrote {convert_checkpoint(**given)}.")


def _say(text: str, code: int) -> int:
    print(f"video-ae: {text}", file=sys.stderr)
    return code
