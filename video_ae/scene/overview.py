"""`overview.png`: one image that shows a person what was found."""

import math
import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from video_ae.formats.ply import PointCloud
from video_ae.geometry.trajectories import spread_frames
from video_ae.scene.annotations import Reconstruction

SHOWN = 6  # frames
_WIDTH, _TALLEST = 14.4, 2.0  # inches: of the whole, of one frame
_INK, _FAINT, _PATH = "#22262b", "#8a919a", "#1769aa"


def write_overview(path: Path | BytesIO, reconstruction: Reconstruction) -> None:
    """Draws the overview as a PNG, without a display.

    Args:
        path: where it is written.
        reconstruction: what it shows.
    """
    width, height = reconstruction.image_size
    positions = spread_frames(len(reconstruction), SHOWN)
    columns = len(positions)
    cell = min(13.6 / max(columns, 4), _TALLEST * width / height)
    rows = 3 * (cell * height / width + 0.12)
    notes = [line for note in reconstruction.notes for line in textwrap.wrap(f"• {note}", 150, subsequent_indent="  ")]
    head, below = 0.95 + 0.2 * len(notes), 5.0
    total = head + rows + 0.5 + below
    figure = Figure(figsize=(_WIDTH, total), dpi=100, facecolor="white")
    _title(figure, reconstruction, notes, total)
    top = 1 - head / total
    sides = {"left": 0.045, "right": 0.045 + columns * cell / _WIDTH, "wspace": 0.03, "hspace": 0.05}
    images = figure.add_gridspec(3, columns, top=top, bottom=top - rows / total, **sides)
    _images(figure, images, reconstruction, positions)
    sides = {"left": 0.055, "right": 0.975, "wspace": 0.14}
    plots = figure.add_gridspec(1, 2, top=below / total, bottom=0.6 / total, width_ratios=[1.25, 1], **sides)
    _from_above(figure.add_subplot(plots[0]), reconstruction)
    _confidence(figure.add_subplot(plots[1]), reconstruction)
    figure.savefig(path, format="png")


def _title(figure: Figure, reconstruction: Reconstruction, notes: list[str], total: float) -> None:
    focal = reconstruction.focal
    angle = 2 * math.degrees(math.atan(0.5 / focal))
    width, height = reconstruction.source.image_size
    as_it_is: dict[str, Any] = {"x": 0.045, "va": "top", "parse_math": False}  # names and notes may have dollar signs
    name = reconstruction.name.encode("utf-8", "backslashreplace").decode()  # bytes that are no letters as numbers
    figure.text(y=1 - 0.2 / total, s=name, size=17, weight="bold", color=_INK, **as_it_is)
    facts = (
        f"{len(reconstruction)} frames of {width} × {height} · focal length {focal:.3f} × width "
        f"({focal * width:.0f} px, {angle:.0f}° horizontal field of view) · "
        f"mean confidence {reconstruction.confidence.mean().item():.2f} · scale arbitrary"
    )
    figure.text(y=1 - 0.55 / total, s=facts, size=11, color=_INK, **as_it_is)
    if notes:
        figure.text(y=1 - 0.8 / total, s="\n".join(notes), size=9.5, color="#a33b20", **as_it_is)


def _images(figure: Figure, grid: GridSpec, reconstruction: Reconstruction, positions: list[int]) -> None:
    """A column a frame: the input, what is rendered of it, and its disparity (0 where it is not known)."""
    rendered, frame = reconstruction.render_frames(positions), reconstruction.need_frame_reader()
    disparity = rendered.inverse_depth.nan_to_num(0.0).numpy()
    low, high = np.quantile(disparity, [0.02, 0.98])
    colours = {"cmap": "magma", "vmin": low, "vmax": max(high, low + 1e-6)}  # images in colour ignore them
    rows = {
        "input": torch.stack([frame(position) for position in positions]).movedim(1, -1).numpy(),
        "rendered": rendered.rgb.movedim(1, -1).numpy(),
        "disparity": disparity,
    }
    for row, (label, images) in enumerate(rows.items()):
        for column, position in enumerate(positions):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(images[column], **colours)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if row == 0:
                number = int(reconstruction.trajectory.indices[position])
                axes.set_title(f"frame {number}", size=9, color=_FAINT, pad=3)
            if column == 0:
                axes.set_ylabel(label, size=10, color=_INK)


def _from_above(axes: Axes, reconstruction: Reconstruction) -> None:
    """x to the right and z (the first camera's viewing direction) upwards, equal scale."""
    pose, cloud = reconstruction.cameras.world_from_camera.numpy(), reconstruction.points()
    centres, ahead = pose[:, [0, 2], 3], pose[:, [0, 2], 2]
    novel = reconstruction.novel_path.centers.numpy()[:, [0, 2]]
    box = axes.get_window_extent()
    low, high = _limits(np.concatenate([centres, novel]), cloud, reconstruction.scene_depth, box.width / box.height)
    reach = (high - low).max()
    if len(cloud):
        _scatter_points(axes, cloud, low, high)
    axes.plot(*novel.T, ":", color="#d08700", lw=1.4, label="novel view", zorder=3)
    axes.plot(*centres.T, color=_PATH, lw=2, label="camera path", zorder=4)
    for frame in np.unique(np.linspace(0, len(pose) - 1, 24).round().astype(int)):
        tip = centres[frame] + 0.045 * reach * ahead[frame]
        axes.plot(*zip(centres[frame], tip, strict=True), color=_PATH, lw=1.1, alpha=0.85, zorder=5)
    axes.plot(*centres[0], "o", ms=8, color="#1b8a3a", mec="white", label="start", zorder=6)
    axes.plot(*centres[-1], "s", ms=7, color="#b3261e", mec="white", label="end", zorder=6)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.set(xlabel="x, to the right", ylabel="z, ahead of the first camera")
    axes.set_title("seen from above", size=11, color=_INK, loc="left")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.995), ncols=4, fontsize=8.5, frameon=False)
    _plain(axes)


def _limits(paths: np.ndarray, cloud: PointCloud, depth: float, aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners, `aspect` times as wide as high, around the paths and most points that are not far off, with a margin."""
    low, high = paths.min(0), paths.max(0)
    around = max(1.2 * (high - low).max(), 1.5 * depth)
    if len(cloud):
        points = np.quantile(cloud.points.numpy()[:, [0, 2]], [0.05, 0.9], axis=0)
        low = np.minimum(low, np.maximum(points[0], low - around))
        high = np.maximum(high, np.minimum(points[1], high + around))
    middle, half = (low + high) / 2, 0.56 * np.maximum(high - low, 0.1 * depth)
    reach = max(half[1], half[0] / aspect) * np.array([aspect, 1.0])
    return middle - reach, middle + reach


def _scatter_points(axes: Axes, cloud: PointCloud, low: np.ndarray, high: np.ndarray) -> None:
    """A subset of the points, the topmost and lowest tenth (ceiling, floor) left out."""
    xyz, rgb = cloud.points.numpy(), cloud.colors.numpy() / 255
    bottom, top = np.quantile(xyz[:, 1], [0.1, 0.9])
    wide = 2 * (high - low).max()
    kept = (xyz[:, 1] >= bottom) & (xyz[:, 1] <= top)
    kept &= (np.abs(xyz[:, [0, 2]] - (low + high) / 2) < wide).all(1)
    chosen = np.flatnonzero(kept)
    chosen = chosen[:: max(1, len(chosen) // 20_000)]
    axes.scatter(xyz[chosen, 0], xyz[chosen, 2], s=1.2, c=rgb[chosen], alpha=0.6, linewidths=0, zorder=1)


def _confidence(axes: Axes, reconstruction: Reconstruction) -> None:
    trajectory = reconstruction.trajectory
    times, confidence = trajectory.times, trajectory.confidence.numpy()
    timed = bool(times.isfinite().all())
    x = (times if timed else trajectory.indices).numpy()
    axes.fill_between(x, confidence, color=_PATH, alpha=0.15, lw=0)
    axes.plot(x, confidence, "-o" if len(x) <= 60 else "-", color=_PATH, lw=1.6, ms=3)
    axes.set(ylim=(0, 1.03), xlabel="seconds" if timed else "frame")
    axes.margins(x=0.02)
    axes.set_title("confidence of each camera (0: a guess, 1: well determined)", size=11, color=_INK, loc="left")
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.grid(color="#e4e7ea", lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, colors=_FAINT, length=0)
    axes.xaxis.label.set(size=9, color=_FAINT)
    axes.yaxis.label.set(size=9, color=_FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#c9ced4")
