"""The plane sweep at full size as one fused loop: the arithmetic of `PlaneSweepEncoder`, without gradients.

A plane is swept as a whole, so that the colours of all contexts stay in the processor's cache.
"""

import numpy as np

from video_ae.compiled import Floats, inlined_kernel, kernel
from video_ae.geometry.bilinear import corner, mixed

_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_UNSEEN = np.float32(1e-3)  # weight of a context that does not observe a voxel


@inlined_kernel
def _project_row(
    y: int, q: np.float32, rows: int, reference: Floats, pose: Floats, view: Floats, least: np.float32,
    u: Floats, v: Floats, far_u: Floats, far_v: Floats, depth: Floats,
) -> None:  # fmt: skip
    """Image coordinates of a row of voxels in a context and of the same rays at infinity, and homogeneous depth."""
    width = len(u)
    ray_y = ((np.float32(y) + _HALF) / np.float32(rows) - reference[3]) / reference[1]
    step, start = _ONE / (np.float32(width) * reference[0]), (_HALF / np.float32(width) - reference[2]) / reference[0]
    fx, fy, cx, cy = view[0], view[1], view[2], view[3]
    ax, ay, az = pose[0, 0] * step, pose[1, 0] * step, pose[2, 0] * step
    bx = pose[0, 0] * start + pose[0, 1] * ray_y + pose[0, 2]
    by = pose[1, 0] * start + pose[1, 1] * ray_y + pose[1, 2]
    bz = pose[2, 0] * start + pose[2, 1] * ray_y + pose[2, 2]
    tx, ty, tz = q * pose[0, 3], q * pose[1, 3], q * pose[2, 3]
    for x in range(width):
        far_u[x] = (ax * np.float32(x) + bx) / max(az * np.float32(x) + bz, least) * fx + cx
    for x in range(width):
        far_v[x] = (ay * np.float32(x) + by) / max(az * np.float32(x) + bz, least) * fy + cy
    for x in range(width):
        depth[x] = az * np.float32(x) + bz + tz
    for x in range(width):
        u[x] = (ax * np.float32(x) + bx + tx) / max(depth[x], least) * fx + cx
    for x in range(width):
        v[x] = (ay * np.float32(x) + by + ty) / max(depth[x], least) * fy + cy


@inlined_kernel
def _sample_row(frames: Floats, n: int, u: Floats, v: Floats, colours: Floats, y: int) -> None:
    """Colours of a context at image coordinates; border colours are continued."""
    height, width = frames.shape[2:]
    across, down = min(width - 1, 1), min(height - 1, 1) * width
    flat = frames[n].reshape(3, height * width)
    for x in range(len(u)):
        i, a, b = corner(u[x] * np.float32(width) - _HALF, v[x] * np.float32(height) - _HALF, height, width)
        for c in range(3):
            colours[n, c, y, x] = mixed(flat, c, i, a, b, across, down)


@inlined_kernel
def _mean_around(plane: Floats, side: int, sums: Floats, known: Floats, channel: int, p: int) -> None:
    """Ten times the mean over a window, of the part of it that lies on the plane."""
    rows, columns = plane.shape
    reach = side // 2
    for y in range(rows):
        for x in range(columns):
            sums[y, x] = 0
        for shift in range(-reach, reach + 1):
            for x in range(max(0, -shift), min(columns, columns - shift)):
                sums[y, x] += plane[y, x + shift]
    for y in range(rows):
        for x in range(columns):
            known[channel, p, y, x] = 0
        first, last = max(y - reach, 0), min(y + reach, rows - 1)
        for other in range(first, last + 1):
            for x in range(columns):
                known[channel, p, y, x] += sums[other, x]
        for x in range(columns):
            across = min(x + reach, columns - 1) - max(x - reach, 0) + 1
            known[channel, p, y, x] *= np.float32(10) / np.float32(across * (last - first + 1))


@inlined_kernel
def _observe_row(
    frames: Floats, poses: Floats, intrinsics: Floats, reference: Floats, q: np.float32, visible: Floats, p: int,
    y: int, constants: Floats, line: Floats, colours: Floats, parallax: Floats, seen: Floats,
) -> None:  # fmt: skip
    """What every context shows of a row of voxels: colours, log parallax, and 1 where it observes them."""
    rows, columns = seen.shape[1:]
    u, v, far_u, far_v, depth = line[0], line[1], line[2], line[3], line[4]
    nearest, least, typical = constants[0], constants[1], np.log(constants[2])
    for n in range(len(frames)):
        _project_row(y, q, rows, reference, poses[n], intrinsics[n], nearest, u, v, far_u, far_v, depth)
        fx, fy = intrinsics[n, 0], intrinsics[n, 1]
        for x in range(columns):
            a, b = (u[x] - far_u[x]) / fx, (v[x] - far_v[x]) / fy
            parallax[n, y, x] = min(a * a + b * b + least * least, _ONE)
        for x in range(columns):
            parallax[n, y, x] = _HALF * np.log(parallax[n, y, x]) - typical
        for x in range(columns):
            inside = (u[x] > _ZERO) & (u[x] < _ONE) & (v[x] > _ZERO) & (v[x] < _ONE) & (depth[x] > nearest)
            seen[n, y, x] = _ONE if inside else _ZERO
        across, row = visible.shape[3], y * visible.shape[2] // rows
        for x in range(columns):
            seen[n, y, x] *= visible[n, p, row, x * across // columns]
        _sample_row(frames, n, u, v, colours, y)


@inlined_kernel
def _compare_row(
    colours: Floats, parallax: Floats, seen: Floats, p: int, y: int, constants: Floats, line: Floats,
    known: Floats, difference: Floats,
) -> None:  # fmt: skip
    """How the contexts agree in a row: the widest log parallax, the share that observe, mean colour, difference."""
    count, columns = seen.shape[0], seen.shape[2]
    total, squares, mean, widest = line[0], line[1], line[2], line[3]
    narrow, uncompared = np.log(constants[1]) - np.log(constants[2]), constants[3]
    total[:], widest[:], squares[:] = 0, narrow, 0
    for n in range(count):
        for x in range(columns):
            total[x] += seen[n, y, x]
        for x in range(columns):
            widest[x] = max(widest[x], parallax[n, y, x] if seen[n, y, x] > _ZERO else narrow)
    for x in range(columns):
        known[2, p, y, x] = widest[x]
    for x in range(columns):
        known[3, p, y, x] = total[x] / np.float32(count)
    for c in range(3):
        mean[:] = 0
        for n in range(count):
            for x in range(columns):
                mean[x] += (seen[n, y, x] + _UNSEEN) * colours[n, c, y, x]
        for x in range(columns):
            mean[x] /= total[x] + np.float32(count) * _UNSEEN
        for n in range(count):
            for x in range(columns):
                off = colours[n, c, y, x] - mean[x]
                squares[x] += (seen[n, y, x] + _UNSEEN) * off * off
        for x in range(columns):
            known[4 + c, p, y, x] = mean[x] - _HALF
    for x in range(columns):
        variance = squares[x] / (total[x] + np.float32(count) * _UNSEEN) / np.float32(3)
        spread = np.sqrt(variance + np.float32(1e-6))
        difference[y, x] = spread if total[x] > np.float32(1.5) else uncompared


@inlined_kernel
def _share_row(hidden: Floats, known: Floats, p: int, y: int, weights: Floats, bias: Floats, base: Floats) -> None:
    """The visibility network's first layer, as far as it is the same for all contexts of a row."""
    channels, columns = hidden.shape[0], hidden.shape[3]
    for j in range(len(bias)):
        base[j] = bias[j]
        for i in range(channels):
            for x in range(columns):
                base[j, x] += weights[j, i] * hidden[i, p, y, x]
        for i in range(3):
            for x in range(columns):
                base[j, x] += weights[j, channels + i] * known[i, p, y, x]


@inlined_kernel
def _blend_row(
    colours: Floats, parallax: Floats, seen: Floats, known: Floats, p: int, y: int, base: Floats, own: Floats,
    second_weights: Floats, second_bias: float, penalty: float, unobserved: np.float32,
    line: Floats, logits: Floats, features: Floats,
) -> None:  # fmt: skip
    """Colours of a row: the contexts' ones, weighted by how visible the network finds it there."""
    count, columns = seen.shape[0], seen.shape[2]
    total, mean, most = line[0], line[1], line[2]
    total[:], most[:] = 0, -np.inf
    for n in range(count):
        for x in range(columns):
            logits[n, x] = np.float32(second_bias) - np.float32(penalty) * parallax[n, y, x]
        for j in range(len(second_weights)):
            w = own[j]
            shift = np.float32(5) * _HALF * (w[0] + w[1] + w[2])
            for x in range(columns):
                red, green = colours[n, 0, y, x] - known[4, p, y, x], colours[n, 1, y, x] - known[5, p, y, x]
                blue = colours[n, 2, y, x] - known[6, p, y, x]
                inner = base[j, x] + np.float32(5) * (w[0] * red + w[1] * green + w[2] * blue) - shift
                inner += w[3] * parallax[n, y, x] + w[4] * seen[n, y, x]
                logits[n, x] += second_weights[j] * max(inner, np.float32(0.1) * inner)
        for x in range(columns):
            logits[n, x] = logits[n, x] if seen[n, y, x] > _ZERO else unobserved
        for x in range(columns):
            most[x] = max(most[x], logits[n, x])
    for n in range(count):
        for x in range(columns):
            logits[n, x] = np.exp(logits[n, x] - most[x])
        for x in range(columns):
            total[x] += logits[n, x]
    for c in range(3):
        mean[:] = 0
        for n in range(count):
            for x in range(columns):
                mean[x] += logits[n, x] * colours[n, c, y, x]
        for x in range(columns):
            features[c, p, y, x] = mean[x] / total[x]


@kernel
def sweep_planes(
    frames: Floats,
    poses: Floats,
    intrinsics: Floats,
    reference: Floats,
    planes: Floats,
    hidden: Floats,
    visible: Floats,
    first_weights: Floats,
    first_bias: Floats,
    second_weights: Floats,
    second_bias: float,
    penalty: float,
    constants: Floats,
    windows: tuple[int, ...],
    known: Floats,
    features: Floats,
    first: int,
    last: int,
) -> None:
    """What is known of the voxels of some planes, and their colours.

    Args:
        frames: [context, 3, height, width].
        poses: [context, 4, 4], context_from_reference.
        intrinsics: [context, 4] of the contexts.
        reference: [4], intrinsics of the reference camera.
        planes: [plane], inverse depths.
        hidden: [channel, plane, row, column], the volume network's output.
        visible: [context, plane, row, column] of any size: 0 where a voxel is hidden from a context, 1 elsewhere.
        first_weights, first_bias, second_weights, second_bias: of the visibility network.
        penalty: weight of the log parallax in the visibility.
        constants: nearest homogeneous depth, least and typical parallax, difference where nothing can be compared,
            logit of a colour that is not observed.
        windows: sides of the windows over which differences are averaged.
        known: [7, plane, row, column] is filled: ten times both differences, the widest log parallax, the share of
            contexts that observe a voxel, and the mean colour less a half.
        features: [3, plane, row, column] is filled.
        first, last: the planes are those from the first to before the last.
    """
    count, (rows, columns) = len(frames), hidden.shape[2:]
    colours = np.empty((count, 3, rows, columns), np.float32)
    parallax, seen = np.empty((count, rows, columns), np.float32), np.empty((count, rows, columns), np.float32)
    difference, sums = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    line, logits = np.empty((5, columns), np.float32), np.empty((count, columns), np.float32)
    base, own = np.empty((len(first_bias), columns), np.float32), first_weights[:, hidden.shape[0] + 3 :]
    for p in range(first, last):
        for y in range(rows):
            _observe_row(
                frames, poses, intrinsics, reference, planes[p], visible, p, y, constants, line, colours, parallax, seen
            )  # fmt: skip
            _compare_row(colours, parallax, seen, p, y, constants, line, known, difference)
        for i in range(2):
            _mean_around(difference, windows[i], sums, known, i, p)
        for y in range(rows):
            _share_row(hidden, known, p, y, first_weights, first_bias, base)
            _blend_row(
                colours, parallax, seen, known, p, y, base, own, second_weights, second_bias, penalty, constants[4],
                line, logits, features,
            )  # fmt: skip
