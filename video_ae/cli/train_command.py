"""`video-ae train`, whose values another parser knows: the one of the YAML files."""

import os
from typing import Any

from video_ae.cli.arguments import add_command
from video_ae.cli.view_command import need_viser


def add_to(commands: Any) -> None:
    add_command(commands, "train", "train an autoencoder on videos (see `video-ae train --help`)", run)


def run(arguments: list[str]) -> None:
    """All that stands behind `video-ae train`."""
    from video_ae.training.config import parse_run
    from video_ae.training.train import train

    settings = parse_run(arguments)
    if settings.view and os.environ.get("LOCAL_RANK", "0") == "0":  # one page, however many processes
        need_viser()
        from video_ae.viewer.training_view import TrainingView

        view = TrainingView()
        try:
            run = train(settings, [view])
        finally:
            view.close()
    else:
        run = train(settings)
    print(f"Wrote {run}: weights.safetensors, config.yaml, checkpoints, pictures and metrics.")
