"""High dynamic range as the standard range that everything else reads.

Phones film in HLG or PQ (ITU-R BT.2100): ten bits, wide colours, and light far above a white wall. Read as if they were
ordinary, such frames are grey and dull. Here light is decoded as the standard says, with diffuse white at 203 cd/m2
(ITU-R BT.2408), brought to the primaries of BT.709, compressed above that white, and encoded as sRGB.
"""

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transfer = Literal["pq", "hlg"]
TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}  # numbers of ITU-T H.273
WHITE = 203.0  # cd/m2 of diffuse white
PEAK = 1000.0  # cd/m2 of the display that HLG is shown on, and of the brightest light that keeps its own tone
KNEE = 0.6  # of white: light below it is left as it is
GRID = 65  # colours along each axis of the table

_BT709_FROM_BT2020 = np.array(
    [[1.6604910, -0.5876411, -0.0728499], [-0.1245505, 1.1328999, -0.0083494], [-0.0181508, -0.1005789, 1.1187297]]
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])  # of BT.2020


def to_standard_range(colors: NDArray[np.float64], transfer: Transfer) -> NDArray[np.float64]:
    """Colours of BT.2100 as sRGB.

    Args:
        colors: [..., 3], R'G'B' in [0, 1] as they are coded.
        transfer: how light is coded.

    Returns:
        [..., 3], R'G'B' in [0, 1].
    """
    light = (_pq_light if transfer == "pq" else _hlg_light)(colors) / WHITE @ _BT709_FROM_BT2020.T
    light = np.maximum(light, 0)
    brightest = light.max(-1, keepdims=True)
    light = light * _compressed(brightest) / np.maximum(brightest, 1e-9)  # all three alike, which keeps the hue
    low, high = 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.clip(np.where(light <= 0.0031308, low, high), 0, 1)


def _pq_light(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m2 of SMPTE ST 2084."""
    root = colors ** (32 / 2523)
    return 10000 * (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)


def _hlg_light(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m2 of hybrid log-gamma on a display of `PEAK`: the scene's light, then the system gamma of 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(colors <= 0.5, colors**2 / 3, (np.exp((colors - c) / a) + b) / 12)
    luminance = (scene @ _LUMINANCE)[..., None]
    return PEAK * np.maximum(luminance, 1e-9) ** 0.2 * scene


def _compressed(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light above the knee brought below 1: a hyperbola that meets the line smoothly, and 1 at the peak (Mobius)."""
    peak = PEAK / WHITE
    a = -(KNEE**2) * (peak - 1) / (KNEE**2 - 2 * KNEE + peak)
    b = (KNEE**2 - 2 * KNEE * peak + peak) / max(peak - 1, 1e-6)
    scale = (b**2 + 2 * b * KNEE + KNEE**2) / (b - a)
    return np.minimum(np.where(light <= KNEE, light, scale * (light + a) / (light + b)), 1)


@cache
def _table(transfer: Transfer) -> str:
    """The colours of a grid in the format of Adobe's .cube files, red fastest."""
    axis = np.linspace(0, 1, GRID)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    values = to_standard_range(np.stack([red, green, blue], -1), transfer).reshape(-1, 3)
    rows = "%.6f %.6f %.6f\n" * len(values) % tuple(values.ravel().tolist())  # a quarter of the time of row by row
    return f"LUT_3D_SIZE {GRID}\n{rows}"


def write_table(folder: Path, transfer: Transfer) -> Path:
    """Writes the conversion as a table of colours for FFmpeg's filter `lut3d`; returns its path.

    Args:
        folder: where it is written.
        transfer: how light is coded.
    """
    path = folder / "table.cube"
    path.write_text(_table(transfer))
    return path
