"""One figure that shows a person what a model makes of the validation clips."""

import io
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.evaluation.metrics.images import psnr
from video_ae.types import Cameras, ModelOutput, VideoClip

Panel = Callable[[Axes, int], None]  # draws one thing of clip `row` of the batch


def validation_figure(clip: VideoClip, output: ModelOutput, rows: int = 4) -> bytes:
    """A PNG with a row per clip of the batch: context, target, prediction (with its PSNR), disparity, trajectory.

    The target is the middle one of those rendered, the context the nearest frame that was not rendered. Columns that
    the model has nothing for are left out: the context where all frames are rendered, disparity and trajectory of
    models without depth and cameras.

    Args:
        clip: a batch of clips.
        output: of that batch.
        rows: at most so many clips.
    """
    rows = min(rows, len(clip.frames))
    panels = _panels(clip, output)
    figure = Figure(figsize=(2.4 * len(panels), 1.9 * rows + 0.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(panels), squeeze=False)
    for column, (title, panel) in enumerate(panels.items()):
        for row in range(rows):
            axes[row, column].axis("off")
            panel(axes[row, column], row)
        heading = axes[0, column].get_title()
        axes[0, column].set_title(f"{title}, {heading}" if heading else title, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def comparison(clip: VideoClip, output: ModelOutput) -> Float[Tensor, "target 3 height width2"]:
    """The rendered frames of the batch's first clip, in order: the input on the left, the rendering beside it.

    Args:
        clip: a batch of clips.
        output: of that batch.
    """
    order = output.targets.argsort()
    inputs = clip.frames[0, output.targets[order]]
    rendered = output.frames[0, order].detach().float().clamp(0, 1)
    return torch.cat([inputs.to(rendered), rendered], -1).cpu()


def camera_plot(output: ModelOutput) -> bytes | None:
    """A PNG of the first clip's camera path from above and from the right; None for models without cameras.

    Args:
        output: of a batch of clips.
    """
    if output.camera is None:
        return None
    pose = output.camera.cameras.world_from_camera[0].detach().float().cpu()
    focal = output.camera.cameras.intrinsics[0, 0, 0].item()
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"focal length {focal:.3f} x width", fontsize=9)
    step = (pose[1:, :3, 3] - pose[:-1, :3, 3]).norm(dim=-1).mean().item() if len(pose) > 1 else 0.0
    views = ((0, 2, "from above: x, z ahead"), (2, 1, "from the right: z ahead, y down"))
    for axes, (across, up, title) in zip(figure.subplots(1, 2), views, strict=True):
        axes.plot(pose[:, across, 3], pose[:, up, 3], "o-", markersize=4, linewidth=1)
        axes.plot(pose[0, across, 3], pose[0, up, 3], "s", markersize=7)
        ahead = pose[:, [across, up], 2] * max(step, 1e-3)
        axes.quiver(
            pose[:, across, 3], pose[:, up, 3], ahead[:, 0], ahead[:, 1], angles="xy", scale_units="xy", scale=1,
            width=0.004,
        )  # fmt: skip
        axes.plot(pose[:, across, 3] + ahead[:, 0], pose[:, up, 3] + ahead[:, 1], " ")  # arrows do not widen the axes
        axes.set_title(title, fontsize=9)
        axes.margins(0.1)
        axes.set_aspect("equal", adjustable="datalim")
        axes.tick_params(labelsize=6)
        if up == 1:
            axes.invert_yaxis()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _panels(clip: VideoClip, output: ModelOutput) -> dict[str, Panel]:
    which = len(output.targets) // 2
    target = int(output.targets[which])
    context = _context(output.targets, len(clip), target)
    panels: dict[str, Panel] = {}
    if context != target:
        panels["context"] = lambda axis, row: _show(axis, clip.frames[row, context])
    panels["target"] = lambda axis, row: _show(axis, clip.frames[row, target])

    def prediction(axis: Axes, row: int) -> None:
        shown = output.frames[row, which].detach().float().clamp(0, 1)
        _show(axis, shown)
        axis.set_title(f"{psnr(shown[None], clip.frames[row, target][None]).item():.1f} dB", fontsize=9)

    panels["prediction"] = prediction
    disparity, camera = output.disparity, output.camera
    if disparity is not None:
        panels["disparity"] = lambda axis, row: _show_map(axis, disparity[row, which])
    if camera is not None:
        panels["trajectory from above"] = lambda axis, row: _trajectory(axis, camera.cameras, row)
    return panels


def _context(targets: Tensor, frames: int, target: int) -> int:
    """The frame nearest to the target that was not rendered; the target itself in a model without held-out frames."""
    rendered = set(targets.tolist())
    free = [frame for frame in range(frames) if frame not in rendered]
    return min(free, key=lambda frame: abs(frame - target), default=target)


def _show(axis, frame: Float[Tensor, "3 height width"]) -> None:
    axis.imshow(rearrange(frame.detach().float().cpu().clamp(0, 1), "c h w -> h w c").numpy())


def _show_map(axis, disparity: Float[Tensor, "height width"]) -> None:
    axis.imshow(disparity.detach().float().cpu().numpy(), cmap="magma")


def _trajectory(axis, cameras: Cameras, row: int) -> None:
    """x to the right, z (forward in the first camera) up, equal units."""
    positions = cameras.world_from_camera[row, :, :3, 3].detach().float().cpu().numpy()
    axis.axis("on")
    axis.plot(positions[:, 0], positions[:, 2], "o-", markersize=3, linewidth=1)
    axis.plot(positions[:1, 0], positions[:1, 2], "s", markersize=6)
    axis.set_aspect("equal", adjustable="datalim")
    axis.tick_params(labelsize=6)
