"""`video-ae train`, whose options another parser knows (the one of the YAML files), and `prepare`."""

from pathlib import Path
from typing import Any

from video_ae.cli.arguments import add_command


def add_to(commands: Any) -> None:
    """Adds `prepare`, and `train` to the help: its options are those of a YAML file, which `run` reads.

    Args:
        commands: of the parser that the commands are added to.
    """
    add_command(commands, "train", "train an autoencoder on videos (see `video-ae train --help`)", run)

    help = "a folder of videos -> small frames, packed to train from"
    parser = add_command(commands, "prepare", help, "preparation.prepare:prepare", _report_packed)
    root = "videos and folders of images, nested as they are, or what `video-ae annotate` wrote"
    parser.add_argument("root", metavar="FOLDER", help=root)
    parser.add_argument("--out", type=Path, required=True, metavar="PACKED", help="folder of the packed frames")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="shorter side of the frames (default: 128)")
    parser.add_argument("--workers", type=int, metavar="N", help="videos at a time (default: 1)")
    parser.add_shared("--decoder", "--overwrite")


def option_of(argument: str) -> str | None:
    """The option that sets a value: `data.size` with its group, or `decoder` where one group has such a value.

    Args:
        argument: its name in the settings of a run or in the function that uses it.
    """
    from video_ae.training.config import run_parser

    if "." in argument:  # also values of classes, which the parser knows only once the class is chosen
        return f"--{argument}"
    options = [name for action in run_parser()._actions for name in action.option_strings]
    found = [name for name in options if name == f"--{argument}" or name.endswith(f".{argument}")]
    return found[0] if len(found) == 1 else None


def run(arguments: list[str]) -> None:
    """Trains.

    Args:
        arguments: all words after `video-ae train`.
    """
    from video_ae.training.config import parse_run

    settings = parse_run(arguments)
    if settings.view:
        from video_ae.viewer import require_viser

        require_viser()
        from video_ae.viewer.training_view import train_in_view

        run = train_in_view(settings)
    else:
        from video_ae.training.train import train

        run = train(settings)
    print(f"Wrote {run}: weights.safetensors, config.yaml, checkpoints, images and metrics.")


def _report_packed(result: Any, out: Path, **given: Any) -> None:
    kept = sum(len(segment.frames) for segment in result.kept)
    print(
        f"Wrote {out}: {len(result.kept)} segments, {kept} of {result.frames} frames, "
        f"{len(result.skipped)} videos left out; report.md says why. Train with --data.root {out}."
    )
