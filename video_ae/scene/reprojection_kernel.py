"""What source views show of a view, as fused loops, for `depth_agreement`, `color_correction`, `depth_refinement`."""

from typing import Any

import numpy as np

from video_ae.compiled import Floats, inlined_kernel, kernel
from video_ae.geometry.bilinear import corner, mixed
from video_ae.geometry.box_mean import mean_map

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
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
    feather: float,
    nearest: float,
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
        spreads: [spread, 2], of what counts as the same point, and as whole.
        feather: spread of the fading at a source's border.
        nearest: depth; what lies nearer to a source is projected as if it lay there.
        agreement: [spread, source, row, column] is filled, 0 to 1.
        first, last: the rows are those from the first to before the last.
    """
    rows, columns = known.shape
    height, width = seen_there.shape[1:]
    there = seen_there.reshape(len(seen_there), height * width)
    across, down = min(width - 1, 1), min(height - 1, 1) * width
    for number in range(first, last):
        n, y = number // rows, number % rows
        pose, intrinsics = poses[n], own[n]
        v = (np.float32(y) + _HALF) / np.float32(rows)
        for x in range(columns):
            u, q = (np.float32(x) + _HALF) / np.float32(columns), known[y, x]
            a, b, depth = project_pixel(u, v, q, np.float32(nearest), pose, view, intrinsics)
            a2, b2, _ = project_pixel(u, v, np.float32(1.01) * q, np.float32(nearest), pose, view, intrinsics)
            i, du, dv = _corner_at(a, b, height, width)
            ratio = mixed(there, n, i, du, dv, across, down) * depth  # 1 where the source sees the same point
            border = min(min(a, _ONE - a), min(b, _ONE - b)) / np.float32(feather)
            shift_x, shift_y = (a2 - a) * np.float32(columns), (b2 - b) * np.float32(rows)
            torn = np.sqrt(shift_x * shift_x + shift_y * shift_y) * np.float32(100) * steps[y, x]
            inside = min(max(border, _ZERO), _ONE) if (depth > _ZERO) & (q > _ZERO) else _ZERO
            for k in range(len(spreads)):
                off, wide = (ratio - _ONE) / spreads[k, 0], torn / spreads[k, 1]
                agreement[k, n, y, x] = inside * np.exp(-_HALF * (off * off + wide * wide)) if inside > _ZERO else _ZERO


@inlined_kernel
def _place_row(
    v: Any,
    inverse_depth: Floats,
    nearest: float,
    pose: Floats,
    view: Floats,
    own: Floats,
    size: tuple[int, int],
    corners: Any,
    parts: Floats,
) -> None:
    """Where a source view is read for each pixel of a row: apart from the reading, so that it is done side by side.

    Args:
        v, nearest, pose, view, own: as in `project_pixel`.
        inverse_depth: [column] of the view.
        size: (height, width) of the source's image.
        corners, parts: [column] and [2, column], are filled with what `corner` returns.
    """
    columns = len(inverse_depth)
    for x in range(np.uintp(columns)):
        u = (np.float32(x) + _HALF) / np.float32(columns)
        a, b, _ = project_pixel(u, v, inverse_depth[x], np.float32(nearest), pose, view, own)
        i, parts[0, x], parts[1, x] = _corner_at(a, b, size[0], size[1])
        corners[x] = np.uintp(i)


@kernel
def look_up_rows(
    inverse_depth: Floats,
    images: Floats,
    wanted: Floats,
    poses: Floats,
    view: Floats,
    own: Floats,
    nearest: float,
    found: Floats,
    first: int,
    last: int,
) -> None:
    """Images of source views as a view sees them, in some rows.

    Args:
        inverse_depth: [row, column] of the view, 0 where it is not known.
        images: [source, 3, row2, column2].
        wanted: [source, row, column]: where it is 0 nothing is looked up.
        poses, view, own: as in `agree_rows`.
        nearest: depth; what lies nearer to a source is projected as if it lay there.
        found: [source, 3, row, column] is filled, with 0 where nothing is looked up.
        first, last: the rows are those from the first to before the last.
    """
    rows, columns = inverse_depth.shape
    count, _, height, width = images.shape
    flat, across, down = images.reshape(count * 3, height * width), min(width - 1, 1), min(height - 1, 1) * width
    corners, parts = np.empty(columns, np.uintp), np.empty((2, columns), np.float32)
    for y in range(first, last):
        v = (np.float32(y) + _HALF) / np.float32(rows)
        for n in range(np.uintp(count)):
            found[n, :, y] = _ZERO
            if not wanted[n, y].any():
                continue
            _place_row(v, inverse_depth[y], nearest, poses[n], view, own[n], (height, width), corners, parts)
            for c in range(np.uintp(3)):
                for x in range(np.uintp(columns)):
                    if wanted[n, y, x] != _ZERO:
                        at = corners[x], parts[0, x], parts[1, x]
                        found[n, c, y, x] = mixed(flat, np.uintp(3) * n + c, *at, np.uintp(across), np.uintp(down))


@kernel
def project_points(
    inverse_depth: Floats,
    poses: Floats,
    own: Floats,
    view: Floats,
    nearest: float,
    landed: Floats,
    surfaces: Floats,
    first: int,
    last: int,
) -> None:
    """The nearest of the points of each source that land in each pixel of a view; where none does, beside it.

    Args:
        inverse_depth: [source, row2, column2], 0 where it is not known.
        poses: [source, 4, 4], view_from_source.
        own, view: intrinsics of the sources, and of the view.
        nearest: depth in the view, from which on a point counts.
        landed: [source, row, column], is filled: 1 / z of the points that land in a pixel, 0 where there is none.
        surfaces: of the same shape, is filled.
        first, last: the sources are those from the first to before the last.
    """
    _, rows, columns = surfaces.shape
    _, height, width = inverse_depth.shape
    for n in range(first, last):
        landed[n] = _ZERO
        for i in range(height):
            v = (np.float32(i) + _HALF) / np.float32(height)
            for j in range(width):
                u, q = (np.float32(j) + _HALF) / np.float32(width), inverse_depth[n, i, j]
                a, b, z = project_pixel(u, v, q, np.float32(nearest), poses[n], own[n], view)
                if (q > _ZERO) & (z > np.float32(nearest)) & (a >= _ZERO) & (b >= _ZERO) & (a < _ONE) & (b < _ONE):
                    x, y = min(int(a * np.float32(columns)), columns - 1), min(int(b * np.float32(rows)), rows - 1)
                    landed[n, y, x] = max(landed[n, y, x], _ONE / z)
        for y in range(rows):
            for x in range(columns):
                surfaces[n, y, x] = landed[n, y, x]
                if landed[n, y, x] == _ZERO:
                    for row in range(max(y - 1, 0), min(y + 2, rows)):
                        for column in range(max(x - 1, 0), min(x + 2, columns)):
                            surfaces[n, y, x] = max(surfaces[n, y, x], landed[n, row, column])


@kernel
def compare_proposals(
    proposals: Floats,
    wanted: Floats,
    image: Floats,
    images: Floats,
    poses: Floats,
    view: Floats,
    own: Floats,
    radius: int,
    largest: float,
    nearest: float,
    unlike: Floats,
    first: int,
    last: int,
) -> None:
    """How much some source views differ from a view at each of some proposed depths.

    Args:
        proposals: [proposal, row, column], inverse depth of the view, 0 where it is not known.
        wanted: of the same shape: where it is 0 a proposal is the first one.
        image: [row, column] of the view.
        images: [source, row2, column2].
        poses, view, own: as in `agree_rows`.
        radius: in pixels, of the mean that differences count without.
        largest: differences that are larger count as much.
        nearest: depth; what lies nearer to a source is projected as if it lay there.
        unlike: [proposal, source, row, column] is filled.
        first, last: the sources are those from the first to before the last.
    """
    count, rows, columns = proposals.shape
    _, height, width = images.shape
    flat, across, down = images.reshape(len(images), height * width), min(width - 1, 1), min(height - 1, 1) * width
    corners, parts = np.empty(columns, np.uintp), np.empty((2, columns), np.float32)
    now, at_first, along, means = (
        np.empty((rows, columns), np.float32),
        np.empty((rows, columns), np.float32),
        np.empty((rows, columns), np.float32),
        np.empty((rows, columns), np.float32),
    )
    for n in range(np.uintp(first), np.uintp(last)):
        for k in range(count):
            for y in range(rows):
                if k > 0:
                    now[y] = at_first[y]
                    if not wanted[k, y].any():
                        continue
                v = (np.float32(y) + _HALF) / np.float32(rows)
                _place_row(v, proposals[k, y], nearest, poses[n], view, own[n], (height, width), corners, parts)
                for x in range(np.uintp(columns)):
                    if (k == 0) | (wanted[k, y, x] != _ZERO):
                        at = corners[x], parts[0, x], parts[1, x]
                        now[y, x] = mixed(flat, n, *at, np.uintp(across), np.uintp(down)) - image[y, x]
            if k == 0:
                at_first[:] = now
            mean_map(now, radius, along, means)
            for y in range(rows):
                for x in range(np.uintp(columns)):
                    unlike[k, n, y, x] = min(abs(now[y, x] - means[y, x]), np.float32(largest))
