import pytest
import torch

from video_ae.videos.writer import write_video


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A folder with two short videos of moving waves of different lengths, 32 x 24 pixels."""
    folder = tmp_path_factory.mktemp("videos")
    x = torch.linspace(0, 12, 32)[None, None, None, :].expand(16, 3, 24, 32)
    y = torch.linspace(0, 9, 24)[None, None, :, None]
    phase = 0.3 * torch.arange(16)[:, None, None, None] + torch.arange(3)[None, :, None, None]
    for number in range(2):
        write_video(folder / f"wave{number}.mp4", 0.5 + 0.25 * (((x + phase) * (number + 1)).sin() + (y - phase).cos()))
    return folder


@pytest.fixture
def arguments(videos, tmp_path):
    """The command line of a short run of the tiny model."""
    return [
        "--model", "tiny_model.TinyAutoencoder", "--losses.l1", "L1", "--losses.edges", "Gradient",
        f"--data.root={videos}", "--data.size=[32,24]", "--data.length=3", "--data.batch_size=2",
        "--data.validation_clips=2", "--trainer.max_steps=8", "--trainer.validate_every=4", "--trainer.accelerator=cpu",
        "--trainer.checkpoint_every=3", "--trainer.log_every=1", "--optimizer.warmup_steps=2",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
