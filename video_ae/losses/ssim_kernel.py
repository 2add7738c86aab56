"""Structural similarity as fused loops, with its derivatives: the arithmetic of `structural_similarity`."""

import numpy as np

from video_ae.compiled import Floats, kernel

_ONE, _TWO = np.float32(1), np.float32(2)


@kernel
def blur_rows(maps: Floats, window: Floats, blurred: Floats, first: int, last: int) -> None:
    """Some rows of all maps, counted through, with zeros around each map.

    Args:
        maps: [map, row, column].
        window: [tap], an odd number, of both directions.
        blurred: [map, row, column] is filled.
        first, last: the rows are those from the first to before the last.
    """
    rows, columns = maps.shape[1:]
    reach = len(window) // 2
    line = np.zeros(columns + 2 * reach, np.float32)
    middle = line[reach : reach + columns]
    for number in range(first, last):
        own, y = maps[number // rows], number % rows
        middle[:] = 0
        for i in range(max(0, reach - y), min(len(window), rows + reach - y)):
            row, weight = own[y + i - reach], window[i]
            for x in range(columns):
                middle[x] += weight * row[x]
        result = blurred[number // rows, y]
        result[:] = 0
        for i in range(len(window)):
            shifted, weight = line[i : i + columns], window[i]
            for x in range(columns):
                result[x] += weight * shifted[x]


@kernel
def compare_rows(means: Floats, constants: Floats, totals: Floats, slopes: Floats, first: int, last: int) -> None:
    """SSIM of some rows of all channels, counted through.

    Args:
        means: [5, channel, row, column], windowed means of x, y, x^2, y^2 and x y.
        constants: [2], that keep quotients of dark and of flat parts finite.
        totals: [channel * row] is filled with sums over columns.
        slopes: [3, channel, row, column] is filled with derivatives by the means of x, x^2 and x y.
        first, last: the rows are those from the first to before the last.
    """
    rows = means.shape[2]
    c1, c2 = constants[0], constants[1]
    for number in range(first, last):
        channel, row = number // rows, number % rows
        x, y, xx = means[0, channel, row], means[1, channel, row], means[2, channel, row]
        yy, xy = means[3, channel, row], means[4, channel, row]
        by_x, by_xx, by_xy = slopes[0, channel, row], slopes[1, channel, row], slopes[2, channel, row]
        total = np.float32(0)
        for i in range(len(x)):
            a, b = x[i], y[i]
            like_means, like_spreads = _TWO * a * b + c1, _TWO * (xy[i] - a * b) + c2
            of_means, of_spreads = _ONE / (a * a + b * b + c1), _ONE / (xx[i] - a * a + yy[i] - b * b + c2)
            scale = of_means * of_spreads
            similar = like_means * like_spreads * scale
            total += similar
            by_x[i] = _TWO * (b * (like_spreads - like_means) * scale + a * similar * (of_spreads - of_means))
            by_xx[i] = -similar * of_spreads
            by_xy[i] = _TWO * like_means * scale
        totals[number] = total
