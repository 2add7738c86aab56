"""The map of codes, and the figures beside it."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from video_ae.errors import UserError
from video_ae.lecture.base import Denoiser, FrameDecoder, FrameEncoder, Predictor, Sampler
from video_ae.lecture.latent_plots import interpolate_codes, plot_latent, principal_axes
from video_ae.models.open import build_model, save_weights
from video_ae.registry import find_class
from video_ae.types import ModelOutput, VideoClip


def test_axes_of_known_codes():
    torch.manual_seed(0)
    codes = torch.zeros(200, 4)
    codes[:, 2] = torch.linspace(-3, 3, 200)
    codes[:, 0] = torch.linspace(-3, 3, 200).roll(50) / 10
    axes, shares = principal_axes(codes + 5)
    assert abs(axes[2, 0]) > 0.99
    assert abs(axes[0, 1]) > 0.99
    assert shares[0] == pytest.approx(0.99, abs=0.01)
    assert sum(shares) == pytest.approx(1)


def test_codes_of_one_number_have_one_axis():
    axes, shares = principal_axes(torch.arange(5.0)[:, None])
    assert axes.shape == (1, 2)
    assert shares == pytest.approx((1.0, 0.0))
    same, none = principal_axes(torch.ones(4, 3))
    assert same.isfinite().all()
    assert none == (0.0, 0.0)


def test_interpolation_starts_and_ends_at_the_codes():
    a, b = torch.rand(3), torch.rand(3)
    line = interpolate_codes(a, b, 5)
    torch.testing.assert_close(line[[0, 2, 4]], torch.stack([a, (a + b) / 2, b]))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    for video in range(2):
        folder = tmp_path / "data" / f"video{video}"
        folder.mkdir(parents=True)
        for frame in range(5):
            Image.new("RGB", (48, 32), (40 * frame, 90 * video, 30)).save(folder / f"{frame:03}.png")
    return tmp_path / "data"


def _weights(tmp_path: Path, name: str, **arguments: object) -> Path:
    model = build_model({"class_path": name, "init_args": arguments})
    save_weights(model, tmp_path / "run" / "weights.safetensors")
    return tmp_path / "run"


def test_figures_of_a_model_with_a_prior(tmp_path, videos):
    weights = _weights(tmp_path, "VariationalAutoencoder", image_size=[16, 16], width=4, latent_size=3, code_size=8)
    out = plot_latent(weights, videos, tmp_path / "out")
    for name in ("codes_pca", "reconstructions", "interpolations", "samples"):
        assert Image.open(out / f"{name}.png").convert("L").getextrema() != (255, 255), name
    with pytest.raises(UserError, match="not empty"):
        plot_latent(weights, videos, tmp_path / "out")


def test_recurrent_codes_are_mapped_and_predictions_drawn(tmp_path, videos):
    weights = _weights(tmp_path, "RecurrentAutoencoder", image_size=[16, 16], width=4)
    out = plot_latent(weights, videos, tmp_path / "out", step=2)
    assert {path.name for path in out.glob("*.png")} - {"codes_tsne.png"} == {"codes_pca.png", "predictions.png"}
    numbers = json.loads((out / "numbers.json").read_text())
    # Every second frame is 80 / 255 brighter in red alone: the mean squared error of a copy is a third of its square.
    assert numbers["psnr_copied"] == pytest.approx(-10 * math.log10((80 / 255) ** 2 / 3), abs=0.01)
    assert numbers["psnr_predicted"] != numbers["psnr_copied"]
    with pytest.raises(UserError, match="too few frames to predict from with steps of 3"):
        plot_latent(weights, videos, tmp_path / "none", step=3)
    assert not (tmp_path / "none").exists()


def test_denoising_models_get_corrupted_frames(tmp_path, videos):
    name = "DenoisingAutoencoder"
    weights = _weights(tmp_path, name, image_size=[16, 16], width=4, code_size=8, noise=0.0, masked=1.0)
    out = plot_latent(weights, videos, tmp_path / "out")
    assert (out / "denoised.png").is_file()
    numbers = json.loads((out / "numbers.json").read_text())
    frames = torch.tensor([[40 * frame, 90 * video, 30] for video in range(2) for frame in range(5)]) / 255
    black = -10 * frames.square().mean(1).log10()  # all pixels are masked
    assert numbers["psnr_corrupted"] == pytest.approx(black.mean().item(), abs=0.01)
    assert numbers.keys() == {"psnr_reconstructed", "psnr_corrupted", "psnr_denoised"}


@pytest.mark.parametrize(
    ("name", "contracts"),
    [
        ("PlainAutoencoder", {FrameEncoder, FrameDecoder}),
        ("DenoisingAutoencoder", {FrameEncoder, FrameDecoder, Denoiser}),
        ("VariationalAutoencoder", {FrameEncoder, FrameDecoder, Sampler}),
        ("RecurrentAutoencoder", {FrameEncoder, Predictor}),
        ("PaperVideoAutoencoder", set()),
    ],
)
def test_models_derive_from_the_contracts_that_they_keep(name, contracts):
    kind = find_class(name)
    kept = {
        contract
        for contract in (FrameEncoder, FrameDecoder, Denoiser, Sampler, Predictor)
        if issubclass(kind, contract)
    }
    assert kept == contracts


class MeanColour(FrameEncoder):
    """A model of one's own that keeps the smallest contract."""

    def __init__(self) -> None:
        super().__init__()
        self.image_size = (24, 16)

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        assert frames.shape[-2:] == (16, 24)
        return frames.mean((-1, -2))

    def forward(self, clip: VideoClip) -> ModelOutput:
        raise AssertionError("nobody trains it here")


def test_a_model_with_codes_alone_has_its_map_drawn(tmp_path, videos, monkeypatch):
    monkeypatch.setattr("video_ae.lecture.latent_plots.load_model", lambda _: MeanColour())
    out = plot_latent(tmp_path, videos, tmp_path / "out")
    assert {path.name for path in out.iterdir()} - {"codes_tsne.png"} == {"codes_pca.png", "numbers.json"}
    assert json.loads((out / "numbers.json").read_text()) == {}


def test_models_without_frame_codes_are_refused(tmp_path, videos):
    weights = _weights(tmp_path, "PaperVideoAutoencoder", image_size=[16, 16], width=4)
    with pytest.raises(UserError, match="PaperVideoAutoencoder has no code for a single frame"):
        plot_latent(weights, videos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
