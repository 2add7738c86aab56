"""`video-ae latent` and `convert-checkpoint`: plots of codes, and the 2021 model's weights converted."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command


def add_to(commands: Any) -> None:
    """Adds `latent` and `convert-checkpoint`.

    Args:
        commands: of the parser that the commands are added to.
    """
    help = "plots of an autoencoder's codes: map, interpolations, samples"
    parser = add_command(commands, "latent", help, _plot_latent)
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


def _plot_latent(**given: Any) -> None:
    import json

    from video_ae.lecture.latent_plots import NUMBERS, plot_latent

    out = plot_latent(**given)
    print(f"Wrote {out}: {', '.join(sorted(path.name for path in out.glob('*.png')))}.")
    for name, value in json.loads((out / NUMBERS).read_text()).items():
        print(f"{name}: {value:.2f} dB")
