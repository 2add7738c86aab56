"""`video-ae train`, whose options another parser knows: the one of the YAML files."""

from typing import Any

from video_ae.cli.arguments import add_command


def add_to(commands: Any) -> None:
    """Adds `train` to the help. Its options are those of a YAML file, which `run` reads.

    Args:
        commands: of the parser that the commands are added to.
    """
    add_command(commands, "train", "train an autoencoder on videos (see `video-ae train --help`)", run)


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
        from video_ae.viewer.training_view import train_in_view as train
    else:
        from video_ae.training.train import train
    print(f"Wrote {train(settings)}: weights.safetensors, config.yaml, checkpoints, pictures and metrics.")
