"""`video-ae evaluate` with its kinds, `latent`, `convert-checkpoint`.

These look at weights: what they achieve, their codes, and those of the 2021 model, which are converted first.
"""

import json
from pathlib import Path
from typing import Any

from video_ae.cli.arguments import Parser, add_command

_DATA = ("--data", "--out", "--seed")
_MODEL = ("--weights", "--refine", "--device", "--overwrite")


def add_to(commands: Any) -> None:
    """Adds `evaluate` with its kinds, `latent` and `convert-checkpoint`.

    Args:
        commands: of the parser that the commands are added to.
    """
    evaluate = add_command(commands, "evaluate", "measure against true cameras and held-out frames", None)
    kinds = evaluate.add_subparsers(dest="subcommand", required=True, metavar="KIND")

    files = "report.html, results.md, results.json and poses"
    parser = _add_kind(kinds, "poses", "camera poses against the true ones", files)
    parser.add_shared(*_DATA, "--focal", *_MODEL, "--beside")
    parser.add_argument("--peers", action="store_true", help="the installed peers stand in the table too")
    parser.add_argument("--diagnose", action="store_true", help="also look whether the poses encode nothing but time")

    files = "results.md, results.json and poses"
    for kind, help in (
        ("hard", "cameras of walks as a phone films them, as `reconstruct` finds them"),
        ("phone", "cameras of videos as phones leave them, whose truth is known in part"),
    ):
        parser = _add_kind(kinds, kind, help, files)
        parser.add_shared(*_DATA, *_MODEL, "--beside")
        help = "COLMAP stands in the table too, with two camera models"
        parser.add_argument("--peers", action="store_true", help=help)

    _add_views(_add_kind(kinds, "views", "held-out frames rendered from two contexts"))

    parser = _add_kind(kinds, "reconstruction", "clips encoded and rendered again; depth where it is known")
    parser.add_shared(*_DATA, *_MODEL, "--beside")

    help, files = "one clip seen along the camera path found in another", "results.md and results.json"
    parser = _add_kind(kinds, "transfer", help, files)
    parser.add_shared(*_DATA, "--weights", "--device", "--overwrite")
    help = "steps of refinement (default: 0: feed-forward only)"
    parser.add_argument("--refine", type=int, metavar="STEPS", help=help)

    help = "COLMAP and two-view odometry, where installed, on the same frames"
    parser = _add_kind(kinds, "peers", help, "report.html, results.md, results.json and the first peer's poses")
    parser.add_shared(*_DATA, "--focal", "--overwrite")

    _add_paper(_add_kind(kinds, "paper", "the 2021 paper's own protocol, for its own model", files))

    help = "plots of an autoencoder's codes: map, interpolations, samples"
    parser = add_command(commands, "latent", help, "lecture.latent_plots:plot_latent", _report_plots)
    parser.add_argument("--weights", type=Path, required=True, metavar="RUN_OR_FILE", help="a model of single frames")
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help="a folder of videos")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the plots")
    parser.add_argument("--step", type=int, help="frames between those that a recurrent model reads (default 1)")
    parser.add_argument("--seed", type=int, help="of the samples and of the noise (default 0)")
    parser.add_shared("--overwrite")

    help = "the 2021 paper's checkpoint -> weights of this package"
    convert = "models.video_autoencoder.convert_checkpoint:convert_checkpoint"
    parser = add_command(commands, "convert-checkpoint", help, convert, "Wrote {result}.")
    parser.add_argument("path", type=Path, metavar="AUTHORS.tar")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")


def _add_kind(kinds: Any, name: str, help: str, files: str = "report.html, results.md and results.json") -> Parser:
    return add_command(kinds, name, help, f"evaluation.evaluate:evaluate_{name}", f"Wrote {{out}}: {files}.")


def _add_paper(parser: Parser) -> None:
    videos = "videos, or a data set with cameras (docs/data.md)"
    parser.add_argument("--data", type=Path, required=True, metavar="ROOT", help=videos)
    parser.add_shared("--out")
    help = "weights of a paper model"
    parser.add_argument("--weights", type=Path, required=True, metavar="RUN_OR_FILE", help=help)
    parser.add_argument("--frames", type=int, metavar="N", help="of each video, the first N (default: 30)")
    faults = "of the original, each as a column (default: all; none: the corrected protocol alone)"
    parser.add_argument("--faults", nargs="*", metavar="NAME", help=faults)
    parser.add_shared("--device", "--overwrite")


def _add_views(parser: Parser) -> None:
    parser.add_shared(*_DATA, "--focal", *_MODEL, "--beside")
    add = parser.add_argument
    add("--gaps", type=int, nargs="+", metavar="G", help="frames to the target (default: 2 4 8; onward: 1 3 5 10)")
    add("--kind", choices=("middle", "onward"), help="contexts i, i+2g and target i+g (default), or i and i+g")
    add("--hide-target", action="store_true", help="interpolate the target's camera: the model never sees the target")
    less = "leave out LPIPS and the VGG cosine, which take longer than most methods"
    add("--no-perceptual", dest="perceptual", action="store_const", const=False, help=less)
    add("--save-frames", action="store_true", help="also write the predicted frames, as PNG below predictions/")
    how = "held-out: every n-th frame of a clip from all others, at its own size (default: contexts)"
    add("--protocol", choices=("contexts", "held-out"), help=how)
    add("--every", type=int, metavar="N", help="of the protocol held-out: one frame in N is kept out (default: 4)")


def _report_plots(result: Path, **given: Any) -> None:
    from video_ae.lecture.latent_plots import NUMBERS

    print(f"Wrote {result}: {', '.join(sorted(path.name for path in result.glob('*.png')))}.")
    for name, value in json.loads((result / NUMBERS).read_text()).items():
        print(f"{name}: {value:.2f} dB")
