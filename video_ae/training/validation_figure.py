"""One figure that shows a person what a model makes of the validation clips."""

import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.evaluation.metrics.images import psnr
from video_ae.types import ModelOutput, VideoClip


def validation_figure(clip: VideoClip, output: ModelOutput, rows: int = 4) -> Figure:
    """A figure with a row per clip of the batch: context, target, prediction (with its PSNR), disparity, trajectory.

    The target is the middle one of those rendered, the context the nearest frame that was not rendered. Columns that
    the model has nothing for are left out: the context where all frames are rendered, disparity and trajectory of
    models without depth and cameras.

    Args:
        clip: a batch of clips.
        output: of that batch.
        rows: at most so many clips.
    """
    rows = min(rows, len(clip.frames))
    columns = _columns(clip, output)
    quality = psnr(columns["prediction"], columns["target"])
    count = len(columns) + (output.camera is not None)
    figure = Figure(figsize=(2.4 * count, 1.9 * rows + 0.2), dpi=90, layout="constrained")
    for row, axes in enumerate(figure.subplots(rows, count, squeeze=False)):
        for axis, (title, images) in zip(axes, columns.items(), strict=False):
            heading = [title] if row == 0 else []
            heading += [f"{quality[row].item():.1f} dB"] if title == "prediction" else []
            image = images[row] if title == "disparity" else rearrange(images[row], "c h w -> h w c")
            axis.imshow(image.numpy(), cmap="magma")  # of colours no map is used
            axis.set_title(", ".join(heading), fontsize=9)
            axis.axis("off")
        if output.camera is not None:
            _draw_path(axes[-1], _plain(output.camera.cameras.world_from_camera[row, :, [0, 2], 3]), 3)
            axes[-1].set_title("trajectory from above" if row == 0 else "", fontsize=9)
    return figure


def comparison(clip: VideoClip, output: ModelOutput) -> Float[Tensor, "target 3 height width2"]:
    """The rendered frames of the batch's first clip, in order: the input on the left, the rendering beside it.

    Args:
        clip: a batch of clips.
        output: of that batch.
    """
    order = output.targets.argsort()
    inputs = clip.frames[0, output.targets[order]]
    rendered = _plain(output.frames[0, order]).clamp(0, 1)
    return torch.cat([inputs.to(rendered), rendered], -1)


def camera_plot(output: ModelOutput) -> Figure | None:
    """A figure of the first clip's camera path from above and from the right; None for models without cameras.

    Args:
        output: of a batch of clips.
    """
    if output.camera is None:
        return None
    pose = _plain(output.camera.cameras.world_from_camera[0])
    focal = output.camera.cameras.intrinsics[0, 0, 0].item()
    figure = Figure(figsize=(7.2, 3.4), dpi=100, layout="constrained")
    figure.suptitle(f"focal length {focal:.3f} x width", fontsize=9)
    step = (pose[1:, :3, 3] - pose[:-1, :3, 3]).norm(dim=-1).mean().item() if len(pose) > 1 else 0.0
    views = ((0, 2, "from above: x, z ahead"), (2, 1, "from the right: z ahead, y down"))
    for axes, (across, up, title) in zip(figure.subplots(1, 2), views, strict=True):
        path, ahead = pose[:, [across, up], 3], pose[:, [across, up], 2] * max(step, 1e-3)
        _draw_path(axes, path, 4)
        axes.quiver(*path.T, *ahead.T, angles="xy", scale_units="xy", scale=1, width=0.004)
        axes.plot(*(path + ahead).T, " ")  # arrows do not widen the axes
        axes.set_title(title, fontsize=9)
        axes.margins(0.1)
        if up == 1:
            axes.invert_yaxis()
    return figure


def _columns(clip: VideoClip, output: ModelOutput) -> dict[str, Tensor]:
    """Title -> an image of each clip. The context is the frame nearest to the target that was not rendered."""
    which = len(output.targets) // 2
    target = int(output.targets[which])
    rendered = set(output.targets.tolist())
    free = [frame for frame in range(len(clip)) if frame not in rendered]
    context = min(free, key=lambda frame: abs(frame - target), default=target)
    columns = {} if context == target else {"context": clip.frames[:, context]}
    columns |= {"target": clip.frames[:, target], "prediction": output.frames[:, which]}
    columns = {title: _plain(frames).clamp(0, 1) for title, frames in columns.items()}
    return columns if output.disparity is None else columns | {"disparity": _plain(output.disparity[:, which])}


def _draw_path(axes: Axes, path: Float[Tensor, "frame 2"], marker: int) -> None:
    """Positions of a camera with equal units on both axes, a square at the first."""
    axes.plot(*path.T, "o-", markersize=marker, linewidth=1)
    axes.plot(*path[:1].T, "s", markersize=marker + 3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=6)


def _plain(values: Tensor) -> Tensor:
    return values.detach().float().cpu()
