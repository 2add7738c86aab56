"""Figures of what a lecture model makes of frames, beside the baseline that it has to beat."""

import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.evaluation.metrics.images import psnr
from video_ae.geometry.trajectories import spread_frames
from video_ae.lecture.base import Denoiser, Predictor
from video_ae.types import VideoClip

SHOWN = 8  # images in a row

Frames = Float[Tensor, "frame 3 height width"]
Numbers = dict[str, float]


def draw_reconstructions(frames: Frames, decoded: Frames) -> tuple[Figure, Numbers]:
    """Frames above what is decoded from their codes.

    Args:
        frames: true ones.
        decoded: from their codes.

    Returns:
        The figure, and the mean PSNR over all frames: psnr_reconstructed.
    """
    numbers = {"psnr_reconstructed": mean_psnr(decoded, frames)}
    rows = {"frame": frames, _label("decoded", numbers["psnr_reconstructed"]): decoded}
    return _spread(rows, "Reconstructions"), numbers


def draw_denoised(model: Denoiser, frames: Frames) -> tuple[Figure, Numbers]:
    """Clean frames, the same corrupted as in training, and denoised.

    Args:
        model: in eval mode.
        frames: clean ones.

    Returns:
        The figure, and mean PSNRs against the clean frames: psnr_corrupted, psnr_denoised.
    """
    corrupted = model.corrupt(frames)
    cleaned = model(as_clip(corrupted[:, None])).frames[:, 0]
    numbers = {"psnr_corrupted": mean_psnr(corrupted, frames), "psnr_denoised": mean_psnr(cleaned, frames)}
    rows = {
        "clean": frames,
        _label("corrupted", numbers["psnr_corrupted"]): corrupted,
        _label("denoised", numbers["psnr_denoised"]): cleaned,
    }
    return _spread(rows, "Corrupted as in training, and cleaned"), numbers


def draw_predictions(model: Predictor, clips: list[Frames]) -> tuple[Figure, Numbers]:
    """Each next frame of the first clip as predicted from those before it, above the baseline that nothing moves.

    Args:
        model: one that predicts (`ahead` is 1), in eval mode.
        clips: of 3 frames or more.

    Returns:
        The figure, and mean PSNRs over all clips, from the third frame on, since before it no motion can be known:
        psnr_predicted, psnr_copied.
    """
    outputs = [model(as_clip(clip[None])).frames[0] for clip in clips]
    numbers = {
        "psnr_predicted": _mean([mean_psnr(out[1:], clip[2:]) for out, clip in zip(outputs, clips, strict=True)]),
        "psnr_copied": _mean([mean_psnr(clip[1:-1], clip[2:]) for clip in clips]),
    }
    rows = {
        "frame": clips[0][1:],
        _label("predicted", numbers["psnr_predicted"]): outputs[0],
        _label("the one before", numbers["psnr_copied"]): clips[0][:-1],
    }
    return image_grid(list(rows.values()), list(rows), "Each next frame, from those before it"), numbers


def as_clip(frames: Float[Tensor, "clip frame 3 height width"]) -> VideoClip:
    """Frames as a batch of clips without times.

    Args:
        frames: RGB in [0, 1].
    """
    batch, count = frames.shape[:2]
    return VideoClip(frames, torch.arange(count).expand(batch, -1), torch.full((batch, count), torch.nan))


def mean_psnr(predicted: Frames, true: Frames) -> float:
    """The PSNR in dB, mean over frames.

    Args:
        predicted: RGB, clamped to [0, 1] first.
        true: RGB in [0, 1].
    """
    return psnr(predicted.clamp(0, 1), true).mean().item()


def image_grid(rows: list[Frames], names: list[str], title: str) -> Figure:
    """A figure of rows of images.

    Args:
        rows: the frames of each row, of which the first `SHOWN` are drawn.
        names: of the rows, written at their left.
        title: above all.
    """
    height, width = rows[0].shape[-2:]
    figure = Figure(figsize=(1.3 * SHOWN, 1.3 * height / width * len(rows) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(len(rows), SHOWN, squeeze=False)
    for row, (images, name) in enumerate(zip(rows, names, strict=True)):
        for axis in axes[row]:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for axis, image in zip(axes[row], images, strict=False):
            axis.imshow(rearrange(image.clamp(0, 1), "c h w -> h w c").numpy())
        axes[row, 0].set_ylabel(name, fontsize=8)
    return figure


def _spread(rows: dict[str, Frames], title: str) -> Figure:
    """Frames evenly spread over all of them."""
    chosen = spread_frames(len(next(iter(rows.values()))), SHOWN)
    return image_grid([frames[chosen] for frames in rows.values()], list(rows), title)


def _label(name: str, decibels: float) -> str:
    return f"{name}\n{decibels:.1f} dB"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
