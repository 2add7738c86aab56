"""`video-ae train`, whose values another parser knows: the one of the YAML files."""

from typing import Any

from video_ae.cli.arguments import add_command


def add_to(commands: Any) -> None:
    add_command(commands, "train", "train an autoencoder on videos (see `video-ae train --help`)", run)


def run(arguments: list[str]) -> None:
    """All that stands behind `video-ae train`."""
    from video_ae.training.config import parse_run
    from video_ae.training.run import train

    run = train(parse_run(arguments))
    print(f"Wrote {run}: weights.safetensors, config.yaml, checkpoints, pictures and metrics.")
