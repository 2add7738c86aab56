"""Views in the colours of their source views as fused loops: the arithmetic of `image_based_rendering`."""

from typing import Any

import numpy as np

from video_ae.compiled import Bytes, Floats, inlined_kernel, kernel
from video_ae.geometry.bicubic import bicubic_color
from video_ae.geometry.bilinear import corner, mixed

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_WHITE = np.float32(255)
LEAST_WEIGHT = 0.02  # of a source view that is looked up
_LEAST = np.float32(1e-4)  # inverse depth of what is at infinity


@inlined_kernel
def _corner_at(u: Any, v: Any, height: int, width: int) -> tuple[Any, Any, Any]:
    """As `corner`, at image coordinates."""
    return corner(u * np.float32(width) - _HALF, v * np.float32(height) - _HALF, height, width)


@inlined_kernel
def project_pixel(
    u: np.float32,
    v: np.float32,
    inverse_depth: np.float32,
    nearest: np.float32,
    pose: Floats,
    view: Floats,
    own: Floats,
) -> tuple[float, float, float]:
    """Image coordinates and z in a source view of what a view sees in one of its own.

    Args:
        u, v: image coordinates in the view.
        inverse_depth: 1 / z there.
        nearest: depth; what lies nearer to the source is projected as if it lay there.
        pose: source_from_view.
        view, own: intrinsics of the view and of the source.
    """
    z = _ONE / max(inverse_depth, _LEAST)
    x, y = (u - view[2]) / view[0] * z, (v - view[3]) / view[1] * z
    a = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]
    b = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]
    c = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
    near = max(c, nearest)
    return a / near * own[0] + own[2], b / near * own[1] + own[3], c


@kernel
def agree_rows(
    known: Floats,
    steps: Floats,
    seen_there: Floats,
    poses: Floats,
    view: Floats,
    own: Floats,
    spreads: Floats,
    agreement: Floats,
    first: int,
    last: int,
) -> None:
    """How far source views show what a view sees, in some rows of all of them, counted through.

    Args:
        known: [row, column], inverse depth of the view, 0 where it is not known.
        steps: [row, column], the largest relative step to a neighbour.
        seen_there: [source, row2, column2], inverse depth that each source sees.
        poses: [source, 4, 4], source_from_view.
        view: [4], intrinsics of the view.
        own: [source, 4], those of the sources.
        spreads: of what counts as the same point, as whole, and of the fading at a source's border; nearest depth.
        agreement: [source, row, column] is filled, 0 to 1.
        first, last: the rows are those from the first to before the last.
    """
    rows, columns = known.shape
    height, width = seen_there.shape[1:]
    same, tear, feather, nearest = spreads[0], spreads[1], spreads[2], spreads[3]
    there = seen_there.reshape(len(seen_there), height * width)
    across, down = min(width - 1, 1), min(height - 1, 1) * width
    for number in range(first, last):
        n, y = number // rows, number % rows
        pose, intrinsics = poses[n], own[n]
        v = (np.float32(y) + _HALF) / np.float32(rows)
        for x in range(columns):
            u, q = (np.float32(x) + _HALF) / np.float32(columns), known[y, x]
            a, b, depth = project_pixel(u, v, q, nearest, pose, view, intrinsics)
            a2, b2, _ = project_pixel(u, v, np.float32(1.01) * q, nearest, pose, view, intrinsics)
            i, du, dv = _corner_at(a, b, height, width)
            ratio = mixed(there, n, i, du, dv, across, down) * depth  # 1 where the source sees the same point
            border = min(min(a, _ONE - a), min(b, _ONE - b)) / feather
            shift_x, shift_y = (a2 - a) * np.float32(columns), (b2 - b) * np.float32(rows)
            torn = np.sqrt(shift_x * shift_x + shift_y * shift_y) * np.float32(100) * steps[y, x] / tear
            off = (ratio - _ONE) / same
            value = np.exp(-_HALF * (off * off + torn * torn)) * min(max(border, _ZERO), _ONE)
            agreement[n, y, x] = value if (depth > _ZERO) & (q > _ZERO) else _ZERO


@kernel
def color_rows(
    known: Floats,
    base: Floats,
    agreement: Floats,
    frames: Bytes,
    poses: Floats,
    view: Floats,
    own: Floats,
    base_weight: float,
    nearest: float,
    image: Bytes,
    first: int,
    last: int,
) -> None:
    """Some rows of a view in the colours of its sources.

    Args:
        known: [2, row, column]: inverse depth of the view, and 1 where it is known.
        base: [6, row, column], the rendered colours, 0 to 1, and what is added to all colours.
        agreement: [source, row, column], times each source's share.
        frames: [source, height, width, 3].
        poses, view, own: as in `agree_rows`.
        base_weight: of the rendered colours.
        nearest: depth; what lies nearer to a source is projected as if it lay there.
        image: [height, width, 3] is filled.
        first, last: the rows are those from the first to before the last.
    """
    count, source_height, source_width, _ = frames.shape
    rows, columns = known.shape[1:]
    height, width, _ = image.shape
    depth_maps, colors = known.reshape(2, rows * columns), base.reshape(6, rows * columns)
    trust = agreement.reshape(count, rows * columns)
    across, down = min(columns - 1, 1), min(rows - 1, 1) * columns
    for y in range(first, last):
        v = (np.float32(y) + _HALF) / np.float32(height)
        for x in range(width):
            u, total = (np.float32(x) + _HALF) / np.float32(width), np.float32(base_weight)
            i, du, dv = _corner_at(u, v, rows, columns)
            red = total * mixed(colors, 0, i, du, dv, across, down) * _WHITE
            green = total * mixed(colors, 1, i, du, dv, across, down) * _WHITE
            blue = total * mixed(colors, 2, i, du, dv, across, down) * _WHITE
            if mixed(depth_maps, 1, i, du, dv, across, down) > np.float32(0.999):
                q = mixed(depth_maps, 0, i, du, dv, across, down)
                for n in range(count):
                    weight = mixed(trust, n, i, du, dv, across, down)
                    if weight > np.float32(LEAST_WEIGHT):
                        a, b, _ = project_pixel(u, v, q, np.float32(nearest), poses[n], view, own[n])
                        a, b = a * np.float32(source_width) - _HALF, b * np.float32(source_height) - _HALF
                        r, g, b = bicubic_color(frames[n], a, b)
                        red, green, blue = red + weight * r, green + weight * g, blue + weight * b
                        total += weight
            pixel, part = image[y, x], _ONE / total
            pixel[0] = _byte(red * part + mixed(colors, 3, i, du, dv, across, down) * _WHITE)
            pixel[1] = _byte(green * part + mixed(colors, 4, i, du, dv, across, down) * _WHITE)
            pixel[2] = _byte(blue * part + mixed(colors, 5, i, du, dv, across, down) * _WHITE)


@inlined_kernel
def _byte(value: Any) -> Any:
    """The nearest byte."""
    return np.uint8(min(max(value, _ZERO), _WHITE) + _HALF)
