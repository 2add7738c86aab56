"""Maps blurred by a window as a fused loop: the arithmetic of `structural_similarity.blurred`."""

import numpy as np

from video_ae.compiled import Floats, kernel


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
