"""What a lecture model makes of frames, beside what it has to beat."""

from typing import Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.evaluation.metrics.images import psnr
from video_ae.models.base import Autoencoder
from video_ae.types import VideoClip

SHOWN = 8  # pictures in a row

Frames = Float[Tensor, "frame 3 height width"]
Numbers = dict[str, float]


@runtime_checkable
class Denoiser(Protocol):
    """A model that was trained on frames corrupted in its own way."""

    def corrupt(self, frames: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 height width"]: ...


@runtime_checkable
class Predictor(Protocol):
    """A model of clips whose output lies `ahead` frames after what it has read."""

    ahead: int


def draw_reconstructions(frames: Frames, decoded: Frames) -> tuple[Figure, Numbers]:
    """Frames above what comes back from their codes; the PSNR is the mean over all of them."""
    numbers = {"psnr_reconstructed": mean_psnr(decoded, frames)}
    rows = {"frame": frames, _label("decoded", numbers["psnr_reconstructed"]): decoded}
    return _evenly(rows, "Reconstructions"), numbers


def draw_denoised(model: Autoencoder, frames: Frames) -> tuple[Figure, Numbers]:
    """Clean frames, corrupted as in training, and cleaned again, with the mean PSNR of both against the clean ones."""
    assert isinstance(model, Denoiser)
    corrupted = model.corrupt(frames)
    cleaned = model(as_clip(corrupted[:, None])).frames[:, 0]
    numbers = {"psnr_corrupted": mean_psnr(corrupted, frames), "psnr_denoised": mean_psnr(cleaned, frames)}
    rows = {
        "clean": frames,
        _label("corrupted", numbers["psnr_corrupted"]): corrupted,
        _label("denoised", numbers["psnr_denoised"]): cleaned,
    }
    return _evenly(rows, "Corrupted as in training, and cleaned"), numbers


def draw_predictions(model: Autoencoder, clips: list[Frames]) -> tuple[Figure, Numbers]:
    """Each next frame of the first clip as predicted from those before it, above the simplest prediction: that nothing
    moves. PSNRs are means over all clips, from the third frame on: before it no motion can be known."""
    outputs = [model(as_clip(clip[None])).frames[0] for clip in clips]
    numbers = {
        "psnr_predicted": _mean([mean_psnr(out[1:], clip[2:]) for out, clip in zip(outputs, clips, strict=True)]),
        "psnr_copied": _mean([mean_psnr(clip[1:-1], clip[2:]) for clip in clips]),
    }
    first = slice(0, SHOWN)
    rows = {
        "frame": clips[0][1:][first],
        _label("predicted", numbers["psnr_predicted"]): outputs[0][first],
        _label("the one before", numbers["psnr_copied"]): clips[0][:-1][first],
    }
    return picture_grid(list(rows.values()), list(rows), "Each next frame, from those before it"), numbers


def as_clip(frames: Float[Tensor, "clip frame 3 height width"]) -> VideoClip:
    """Frames as a batch of clips without times."""
    batch, count = frames.shape[:2]
    return VideoClip(frames, torch.arange(count).expand(batch, -1), torch.full((batch, count), torch.nan))


def mean_psnr(shown: Frames, true: Frames) -> float:
    """In dB, mean over frames, of pictures clamped to [0, 1]."""
    return psnr(shown.clamp(0, 1), true).mean().item()


def picture_grid(rows: list[Frames], names: list[str], title: str) -> Figure:
    """Up to `SHOWN` pictures in each row, with the rows' names at the left."""
    height, width = rows[0].shape[-2:]
    figure = Figure(figsize=(1.3 * SHOWN, 1.3 * height / width * len(rows) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(len(rows), SHOWN, squeeze=False)
    for row, (pictures, name) in enumerate(zip(rows, names, strict=True)):
        for column in range(SHOWN):
            axis: Axes = axes[row, column]
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if column < len(pictures):
                axis.imshow(rearrange(pictures[column].clamp(0, 1), "c h w -> h w c").numpy())
        axes[row, 0].set_ylabel(name, fontsize=8)
    return figure


def _evenly(rows: dict[str, Frames], title: str) -> Figure:
    """Frames evenly spread over all of them."""
    count = len(next(iter(rows.values())))
    chosen = torch.linspace(0, count - 1, min(SHOWN, count)).round().long()
    return picture_grid([frames[chosen] for frames in rows.values()], list(rows), title)


def _label(name: str, decibels: float) -> str:
    return f"{name}\n{decibels:.1f} dB"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
