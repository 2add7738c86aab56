"""One picture that shows a person what a model makes of the validation clips."""

import io

from einops import rearrange
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.types import Cameras, Reconstruction, VideoClip

COLUMNS = ("context", "target", "prediction", "disparity", "trajectory from above")


def validation_picture(clip: VideoClip, reconstruction: Reconstruction, rows: int = 4) -> bytes:
    """A PNG with a row per clip of the batch: context, target, prediction, disparity, trajectory from above.

    The target is the middle one of those rendered, the context the nearest frame that was not rendered. Panels that the
    model has nothing for stay empty.
    """
    rows = min(rows, len(clip.frames))
    figure = Figure(figsize=(2.4 * len(COLUMNS), 1.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(COLUMNS), squeeze=False)
    which = len(reconstruction.targets) // 2
    target = int(reconstruction.targets[which])
    context = _context(reconstruction.targets, len(clip), target)
    for row in range(rows):
        for axis in axes[row]:
            axis.axis("off")
        _show(axes[row, 0], clip.frames[row, context])
        _show(axes[row, 1], clip.frames[row, target])
        _show(axes[row, 2], reconstruction.frames[row, which])
        if reconstruction.disparity is not None:
            axes[row, 3].imshow(reconstruction.disparity[row, which].detach().float().cpu().numpy(), cmap="magma")
        if reconstruction.camera is not None:
            _trajectory(axes[row, 4], reconstruction.camera.cameras, row)
    for axis, title in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(title, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _context(targets: Tensor, frames: int, target: int) -> int:
    """The frame nearest to the target that was not rendered; the target itself in a model without held-out frames."""
    rendered = set(targets.tolist())
    free = [frame for frame in range(frames) if frame not in rendered]
    return min(free, key=lambda frame: abs(frame - target), default=target)


def _show(axis, frame: Float[Tensor, "3 height width"]) -> None:
    axis.imshow(rearrange(frame.detach().float().cpu().clamp(0, 1), "c h w -> h w c").numpy())


def _trajectory(axis, cameras: Cameras, row: int) -> None:
    """x to the right, z (forward in the first camera) up, equal units."""
    positions = cameras.world_from_camera[row, :, :3, 3].detach().float().cpu().numpy()
    axis.axis("on")
    axis.plot(positions[:, 0], positions[:, 2], "o-", markersize=3, linewidth=1)
    axis.plot(positions[:1, 0], positions[:1, 2], "s", markersize=6)
    axis.set_aspect("equal", adjustable="datalim")
    axis.tick_params(labelsize=6)
