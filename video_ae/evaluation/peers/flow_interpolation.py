"""Frames between others by the optical flow of OpenCV, an optional package."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From one grey image to another, in pixels [height, width, 2]."""
Image = Float[Tensor, "3 height width"]


def optical_flows() -> dict[str, Flow]:
    """Farneback's (2003) and DIS (Kroeger et al. 2016); none where OpenCV is not installed."""
    if find_spec("cv2") is None:
        return {}
    cv2: Any = import_module("cv2")  # its type hints miss these functions
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def farneback(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 5, 15, 5, 5, 1.1, 0)

    return {"Farneback flow": farneback, "DIS flow": lambda a, b: dis.calc(a, b, None)}


def middle_image(flow: Flow, before: Image, after: Image) -> Image:
    """Both images drawn half the way towards each other along the flows between them, and averaged.

    Args:
        flow: one of `optical_flows`.
        before, after: RGB in [0, 1].
    """
    grey = [(255 * one.mean(0)).round().numpy().astype(np.uint8) for one in (before, after)]
    return (_drawn(before, flow(*grey)) + _drawn(after, flow(*grey[::-1]))) / 2


def _drawn(image: Image, flow: np.ndarray) -> Image:
    """Backward warping by half the flow, taken as if it were given at the middle time."""
    import cv2

    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    drawn = cv2.remap(
        pixels, x - 0.5 * flow[..., 0], y - 0.5 * flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(drawn).permute(2, 0, 1)
