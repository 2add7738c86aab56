"""Projected Gaussians blended into an image as fused loops, forward and backward: the arithmetic of
`gaussian_rasterizer.rasterize_slowly`.

The image is cut into tiles, whose light stays in the processor's cache; a tile blends what it has from near to far.
Going forward once more, the backward pass knows what lies behind a Gaussian: the whole minus what came before.
"""

import numpy as np

from video_ae.compiled import Floats, Integers, inlined_kernel, kernel
from video_ae.renderers.frustum_kernel import decay

COLUMNS, ROWS = 8, 16  # of a tile: a row is what a processor handles at a time
CHANNELS = 5  # of an image: red, green, blue, 1 / z, opacity
_PIXELS = COLUMNS * ROWS
_LOOK = 16  # Gaussians after which a tile looks whether any light is left
_ZERO, _ONE, _TWO, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)


@kernel
def count_tiles(boxes: Integers, across: int, counts: Integers) -> None:
    """How many Gaussians may reach each tile.

    Args:
        boxes: [gaussian, 4], as of `project_gaussians`.
        across: tiles in a row.
        counts: [tile], zeros, is filled.
    """
    for n in range(len(boxes)):
        if boxes[n, 0] < boxes[n, 1] and boxes[n, 2] < boxes[n, 3]:
            for i in range(boxes[n, 2] // ROWS, (boxes[n, 3] - 1) // ROWS + 1):
                for j in range(boxes[n, 0] // COLUMNS, (boxes[n, 1] - 1) // COLUMNS + 1):
                    counts[i * across + j] += 1


@kernel
def bin_tiles(boxes: Integers, order: Integers, across: int, ends: Integers, entries: Integers) -> None:
    """The Gaussians of each tile, from near to far.

    Args:
        boxes, across: as in `count_tiles`.
        order: [gaussian], their numbers from near to far.
        ends: [tile], where the entries of each tile begin; afterwards where they end.
        entries: [entry] is filled with numbers of Gaussians.
    """
    for n in order:
        if boxes[n, 0] < boxes[n, 1] and boxes[n, 2] < boxes[n, 3]:
            for i in range(boxes[n, 2] // ROWS, (boxes[n, 3] - 1) // ROWS + 1):
                for j in range(boxes[n, 0] // COLUMNS, (boxes[n, 1] - 1) // COLUMNS + 1):
                    entries[ends[i * across + j]] = n
                    ends[i * across + j] += 1


@inlined_kernel
def _blend(splat: Floats, limits: Floats, block: Floats) -> None:
    """Adds a Gaussian to some pixels: rows of `block` are x, y, light, red, green, blue, 1 / z."""
    x, y, a, b, c, opacity = splat[0], splat[1], splat[2], splat[3], splat[4], splat[5]
    red, green, blue, nearness = splat[6], splat[7], splat[8], splat[9]
    least, most, end = limits[3], limits[5], limits[6]
    for p in range(block.shape[1]):
        dx, dy = block[0, p] - x, block[1, p] - y
        raw = opacity * decay(a * dx * dx + b * dx * dy + c * dy * dy)
        weight = min(raw, most) * block[2, p] if (raw >= least) & (block[2, p] > end) else _ZERO
        block[2, p] -= weight
        block[3, p] += weight * red
        block[4, p] += weight * green
        block[5, p] += weight * blue
        block[6, p] += weight * nearness


@kernel
def _light_left(light: Floats) -> np.float32:
    most = _ZERO
    for p in range(len(light)):
        most = max(most, light[p])
    return most


@kernel
def _place(pixels: Floats, left: int, top: int) -> None:
    """Fills x and y of a tile's pixel centres."""
    for p in range(_PIXELS):
        pixels[0, p] = np.float32(left + p % COLUMNS) + _HALF
        pixels[1, p] = np.float32(top + p // COLUMNS) + _HALF


@kernel
def blend_tiles(
    splats: Floats, boxes: Integers, entries: Integers, ends: Integers, limits: Floats, image: Floats,
    first: int, last: int,
) -> None:  # fmt: skip
    """Some tiles of an image.

    Args:
        splats, boxes: as of `project_gaussians`.
        entries, ends: as of `bin_tiles`.
        limits: width, height, least z, least alpha, low-pass variance, largest alpha, least light.
        image: [5, row, column] is filled: red, green, blue, 1 / z, opacity; its sides are whole tiles.
        first, last: the tiles are those from the first to before the last, row by row.
    """
    scratch = np.empty((3 + CHANNELS, _PIXELS), np.float32)
    pixels, light, tile = scratch[:2], scratch[2], scratch[3:]
    across = image.shape[2] // COLUMNS
    for number in range(first, last):
        top, left = number // across * ROWS, number % across * COLUMNS
        light[:], tile[:] = 1, 0
        _place(pixels, left, top)
        begin = ends[number - 1] if number else 0
        for entry in range(begin, ends[number]):
            if (entry - begin) % _LOOK == _LOOK - 1 and _light_left(light) <= limits[6]:
                break
            n = entries[entry]
            i, j = max(boxes[n, 2] - top, 0) * COLUMNS, min(boxes[n, 3] - top, ROWS) * COLUMNS
            _blend(splats[n], limits, scratch[:, i:j])
        for p in range(_PIXELS):
            tile[4, p] = _ONE - light[p]
        for channel in range(CHANNELS):
            for row in range(ROWS):
                for column in range(COLUMNS):
                    image[channel, top + row, left + column] = tile[channel, row * COLUMNS + column]


@inlined_kernel
def _pull(splat: Floats, limits: Floats, block: Floats, sums: Floats) -> None:
    """The gradient of a Gaussian from some pixels: rows of `block` are x, y, light, what is behind, and the derivatives
    by the five channels."""
    x, y, a, b, c, opacity = splat[0], splat[1], splat[2], splat[3], splat[4], splat[5]
    red, green, blue, nearness = splat[6], splat[7], splat[8], splat[9]
    least, most, end = limits[3], limits[5], limits[6]
    s, sx, sy, xx, xy, yy = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    to_r, to_g, to_b, to_q = _ZERO, _ZERO, _ZERO, _ZERO
    for p in range(block.shape[1]):
        dx, dy = block[0, p] - x, block[1, p] - y
        raw = opacity * decay(a * dx * dx + b * dx * dy + c * dy * dy)
        alpha = min(raw, most) if (raw >= least) & (block[2, p] > end) else _ZERO
        weight = alpha * block[2, p]
        gain = red * block[4, p] + green * block[5, p] + blue * block[6, p] + nearness * block[7, p] + block[8, p]
        rest = block[3, p] - weight * gain
        slope = (block[2, p] * gain - rest / (_ONE - alpha)) * raw
        slope = slope if (alpha > _ZERO) & (raw < most) else _ZERO
        block[3, p] = rest
        block[2, p] -= weight
        s += slope
        sx += slope * dx
        sy += slope * dy
        xx += slope * dx * dx
        xy += slope * dx * dy
        yy += slope * dy * dy
        to_r += weight * block[4, p]
        to_g += weight * block[5, p]
        to_b += weight * block[6, p]
        to_q += weight * block[7, p]
    sums[0], sums[1] = _TWO * a * sx + b * sy, _TWO * c * sy + b * sx
    sums[2], sums[3], sums[4], sums[5] = -_HALF * xx, -xy, -_HALF * yy, s / opacity
    sums[6], sums[7], sums[8], sums[9] = to_r, to_g, to_b, to_q


@kernel
def pull_back_tiles(
    splats: Floats, boxes: Integers, entries: Integers, ends: Integers, limits: Floats, image: Floats, wanted: Floats,
    sums: Floats, first: int, last: int,
) -> None:  # fmt: skip
    """Gradients of the entries of some tiles.

    Args:
        splats, boxes, entries, ends, limits: as in `blend_tiles`.
        image: [5, row, column], what it made.
        wanted: [5, row, column], derivatives by the image.
        sums: [entry, 10], zeros, is filled: derivatives by x, y, conic a, b, c, opacity, red, green, blue, 1 / z.
        first, last: the tiles are those from the first to before the last, row by row.
    """
    scratch = np.empty((4 + CHANNELS, _PIXELS), np.float32)
    pixels, light, behind, tile = scratch[:2], scratch[2], scratch[3], scratch[4:]
    across = image.shape[2] // COLUMNS
    for number in range(first, last):
        top, left = number // across * ROWS, number % across * COLUMNS
        light[:], behind[:] = 1, 0
        _place(pixels, left, top)
        for channel in range(CHANNELS):
            for row in range(ROWS):
                for column in range(COLUMNS):
                    slope = wanted[channel, top + row, left + column]
                    tile[channel, row * COLUMNS + column] = slope
                    behind[row * COLUMNS + column] += slope * image[channel, top + row, left + column]
        begin = ends[number - 1] if number else 0
        for entry in range(begin, ends[number]):
            if (entry - begin) % _LOOK == _LOOK - 1 and _light_left(light) <= limits[6]:
                break
            n = entries[entry]
            i, j = max(boxes[n, 2] - top, 0) * COLUMNS, min(boxes[n, 3] - top, ROWS) * COLUMNS
            _pull(splats[n], limits, scratch[:, i:j], sums[entry])


@kernel
def sum_entries(entries: Integers, per_entry: Floats, sums: Floats) -> None:
    """Adds up the gradients of each Gaussian, always in the same order.

    Args:
        entries: [entry], numbers of Gaussians.
        per_entry: [entry, 10], as of `pull_back_tiles`.
        sums: [gaussian, 10], zeros, is filled.
    """
    for entry in range(len(entries)):
        own = sums[entries[entry]]
        for i in range(len(own)):
            own[i] += per_entry[entry, i]
