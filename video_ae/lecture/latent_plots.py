"""What the codes of an autoencoder look like: a map in two dimensions, reconstructions, interpolations, samples.

What a model makes of frames stands beside the baseline that it has to beat.
"""

import importlib.util
import json
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import psnr
from video_ae.formats.atomic import claim_folder, files_together
from video_ae.geometry.trajectories import spread_frames
from video_ae.lecture.base import Denoiser, FrameDecoder, FrameEncoder, Predictor, Sampler
from video_ae.models.open import load_model
from video_ae.types import VideoClip

NUMBERS = "numbers.json"
_SHOWN = 8  # images in a row

Frames = Float[Tensor, "frame 3 height width"]


@torch.no_grad()
def plot_latent(
    weights: Path,
    data: Path,
    out: Path,
    frames_per_video: int = 40,
    videos: int = 12,
    step: int = 1,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Draws the codes of the frames of some videos and returns the folder `out`.

    * codes_pca.png: the codes on their two main axes, with the share of the variance that each explains, one colour a
      video; codes_tsne.png: t-SNE, where scikit-learn is installed (extra `latent`).
    * Models that decode single codes: reconstructions.png; interpolations.png, between the first frame of the first
      video and the last of the last, and between frames drawn at random; samples.png, from the prior N(0, 1) for a
      variational model, else from a Gaussian that is fitted to the codes, and the title says which.
    * Denoising models: denoised.png. Models that predict: predictions.png, on frames that lie `step` frames apart.
    * numbers.json: mean PSNRs in dB of what these images show, and of what they have to be compared with.

    Args:
        weights: a RUN folder or a .safetensors file of a model that encodes single frames.
        data: a folder of videos.
        out: the folder to write into.
        frames_per_video: evenly spread over each of the first `videos` videos.
        videos: how many videos are encoded.
        step: frames between those that a predicting model reads.
        seed: of the samples, the corruption and t-SNE.
        overwrite: whether an earlier result in `out` may be replaced.

    Raises:
        UserError: the model has no codes of single frames, data or weights cannot be read, or there are too few frames.
    """
    model = load_model(weights)
    if not isinstance(model, FrameEncoder):
        raise UserError(
            f"{type(model).__name__} has no code for a single frame: give weights of a plain, denoising, variational "
            "or recurrent autoencoder."
        )
    if frames_per_video < 2 or videos < 1 or step < 1:
        raise UserError("A map of codes needs at least 1 video with 2 frames and steps of 1: give larger numbers.")
    torch.manual_seed(seed)
    source = open_dataset(data)
    counts = [source.frame_count(number) for number in range(min(videos, len(source)))]
    parts = _load(source, [spread_frames(count, frames_per_video) for count in counts], model.image_size)
    frames = torch.cat(parts)
    if len(frames) < 3:
        raise UserError(f"A map of codes needs 3 frames or more, and {str(data)!r} has {len(frames)}.")
    predicts = isinstance(model, Predictor) and model.ahead == 1
    clips = _load(source, _first_steps(source, counts, step), model.image_size) if predicts else []
    out = claim_folder(out, overwrite)
    codes = [model.encode_frames(part) for part in parts]
    figures, numbers = _draw_images(model, frames, torch.cat(codes), clips)
    with files_together(out) as new:
        (new / NUMBERS).write_text(json.dumps(numbers, indent=1), encoding="utf-8")
        for name, figure in (_draw_maps(codes, seed) | figures).items():
            figure.savefig(new / f"{name}.png", dpi=110)
    return out


def principal_axes(codes: Float[Tensor, "frame code"]) -> tuple[Float[Tensor, "code 2"], tuple[float, float]]:
    """The two directions in which codes vary most (PCA), and the share of the variance along each.

    A second axis that does not exist (codes of one number, or on a line) is zero.

    Args:
        codes: two or more.
    """
    centred = codes - codes.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    total = values.square().sum().clamp_min(torch.finfo(values.dtype).tiny)
    axes = torch.zeros(codes.shape[1], 2, dtype=codes.dtype)
    axes[:, : min(2, len(directions))] = directions[:2].T
    shares = [float(v) for v in (values[:2].square() / total)] + [0.0]
    return axes, (shares[0], shares[1])


def interpolate_codes(
    start: Float[Tensor, "code"], end: Float[Tensor, "code"], steps: int
) -> Float[Tensor, "{steps} code"]:
    """Evenly spaced codes on the straight line between two.

    Args:
        start: the first code.
        end: the last code.
        steps: how many codes, both ends included.
    """
    return torch.lerp(start, end, torch.linspace(0, 1, steps)[:, None])


def _load(source: ClipSource, indices: list[list[int]], size: tuple[int, int]) -> list[Tensor]:
    """The chosen frames of the first videos."""
    return [source.load(number, chosen, size, "crop").frames for number, chosen in enumerate(indices)]


def _first_steps(source: ClipSource, counts: list[int], step: int) -> list[list[int]]:
    """The beginning of each video, every `step`-th frame of it. UserError for videos that are too short."""
    indices = [list(range(0, count, step))[: _SHOWN + 1] for count in counts]
    for name, chosen in zip(source.names, indices, strict=False):
        if len(chosen) < 3:
            raise UserError(f"{name} has too few frames to predict from with steps of {step}: give smaller steps.")
    return indices


def _draw_maps(parts: list[Tensor], seed: int) -> dict[str, Figure]:
    """The codes of each video in two dimensions."""
    codes, counts = torch.cat(parts), [len(part) for part in parts]
    axes, shares = principal_axes(codes)
    labels = (f"axis 1: {shares[0]:.0%} of the variance", f"axis 2: {shares[1]:.0%} of the variance")
    figures = {"codes_pca": _scatter(((codes - codes.mean(0)) @ axes).split(counts), "Codes of frames, PCA", labels)}
    if importlib.util.find_spec("sklearn") is not None:
        from sklearn.manifold import TSNE

        tsne = TSNE(2, perplexity=min(30.0, (len(codes) - 1) / 3), init="pca", random_state=seed)
        points = torch.from_numpy(tsne.fit_transform(codes.numpy()))
        figures["codes_tsne"] = _scatter(points.split(counts), "Codes of frames, t-SNE", ("", ""))
    return figures


def _draw_images(
    model: FrameEncoder, frames: Frames, codes: Tensor, clips: list[Tensor]
) -> tuple[dict[str, Figure], dict[str, float]]:
    """Whatever the model is able to do with these frames, and its predictions in the clips, if there are any.

    Returns the figures, and the mean PSNRs in dB of what they show. Predictions count from the third frame on, since
    before it no motion can be known.
    """
    figures: dict[str, Figure] = {}
    numbers: dict[str, float] = {}

    def compare(file: str, title: str, rows: dict[str, Frames], decibels: dict[str, float]) -> None:
        """Draws true frames above others, each of which has a PSNR."""
        first, *others = rows
        labels = [f"{name}\n{value:.1f} dB" for name, value in zip(others, decibels.values(), strict=True)]
        figures[file] = _image_grid(list(rows.values()), [first, *labels], title)
        numbers.update(decibels)

    spread = spread_frames(len(frames), _SHOWN)
    if isinstance(model, FrameDecoder):
        decoded = torch.cat([model.decode_codes(part) for part in codes.split(64)])
        rows = {"frame": frames[spread], "decoded": decoded[spread]}
        compare("reconstructions", "Reconstructions", rows, {"psnr_reconstructed": _mean_psnr(decoded, frames)})
        figures["interpolations"] = _draw_interpolations(model, codes)
        figures["samples"] = _draw_samples(model, codes)
    if isinstance(model, Denoiser):
        corrupted = model.corrupt(frames)
        cleaned = model(_as_clip(corrupted[:, None])).frames[:, 0]
        rows = {"clean": frames[spread], "corrupted": corrupted[spread], "denoised": cleaned[spread]}
        found = {"psnr_corrupted": _mean_psnr(corrupted, frames), "psnr_denoised": _mean_psnr(cleaned, frames)}
        compare("denoised", "Corrupted as in training, and cleaned", rows, found)
    if clips:
        outputs = [model(_as_clip(clip[None])).frames[0] for clip in clips]
        rows = {"frame": clips[0][1:], "predicted": outputs[0], "the one before": clips[0][:-1]}
        predicted = [_mean_psnr(output[1:], clip[2:]) for output, clip in zip(outputs, clips, strict=True)]
        copied = [_mean_psnr(clip[1:-1], clip[2:]) for clip in clips]
        found = {"psnr_predicted": sum(predicted) / len(clips), "psnr_copied": sum(copied) / len(clips)}
        compare("predictions", "Each next frame, from those before it", rows, found)
    return figures, numbers


def _draw_interpolations(model: FrameDecoder, codes: Tensor) -> Figure:
    order = torch.randperm(len(codes))
    pairs = [(0, len(codes) - 1), *zip(order[:6:2].tolist(), order[1:6:2].tolist(), strict=False)]
    lines = [model.decode_codes(interpolate_codes(codes[a], codes[b], _SHOWN)) for a, b in pairs]
    return _image_grid(lines, [""] * len(lines), "From one frame's code to another's, in equal steps")


def _draw_samples(model: FrameDecoder, codes: Tensor) -> Figure:
    if isinstance(model, Sampler):
        drawn, origin = model.sample(4 * _SHOWN), "the prior N(0, 1)"
    else:
        drawn = model.decode_codes(codes.mean(0) + codes.std(0) * torch.randn(4 * _SHOWN, codes.shape[1]))
        origin = "a Gaussian fitted to the codes (this model has no prior)"
    return _image_grid(list(drawn.split(_SHOWN)), [""] * 4, f"Decoded samples from {origin}")


def _as_clip(frames: Float[Tensor, "clip frame 3 height width"]) -> VideoClip:
    """Frames as a batch of clips without times."""
    batch, count = frames.shape[:2]
    return VideoClip(frames, torch.arange(count).expand(batch, -1), torch.full((batch, count), torch.nan))


def _mean_psnr(predicted: Frames, true: Frames) -> float:
    return psnr(predicted.clamp(0, 1), true).mean().item()


def _image_grid(rows: list[Frames], names: list[str], title: str) -> Figure:
    """The first frames of each row, its name at the left."""
    height, width = rows[0].shape[-2:]
    figure = Figure(figsize=(1.3 * _SHOWN, 1.3 * height / width * len(rows) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(len(rows), _SHOWN, squeeze=False)
    for row, (images, name) in enumerate(zip(rows, names, strict=True)):
        for axis in axes[row]:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        for axis, image in zip(axes[row], images, strict=False):
            axis.imshow(rearrange(image.clamp(0, 1), "c h w -> h w c").numpy())
        axes[row, 0].set_ylabel(name, fontsize=8)
    return figure


def _scatter(videos: tuple[Tensor, ...], title: str, labels: tuple[str, str]) -> Figure:
    figure = Figure(figsize=(6, 5), layout="constrained")
    axis = figure.subplots()
    for number, part in enumerate(videos):
        axis.plot(part[:, 0], part[:, 1], linewidth=0.6, alpha=0.5, color=f"C{number % 10}")
        axis.scatter(part[:, 0], part[:, 1], s=10, color=f"C{number % 10}", label=f"video {number + 1}")
    axis.set(title=f"{title}: one colour a video, lines in time", xlabel=labels[0], ylabel=labels[1])
    if len(videos) <= 12:
        axis.legend(fontsize=7)
    return figure
