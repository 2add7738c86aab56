"""A cache of camera estimates, keyed by the content of the frames."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.types import CameraEstimate

CLIPS = 1000  # an estimate of 24 frames takes about 80 kB


class CameraCache:
    """A camera encoder that is asked only once about the same pixels.

    Args:
        find: frames (a batch of clips) -> cameras, the same answer for the same frames.
        clips: how many estimates are kept; the least recently used ones go first.
    """

    def __init__(self, find: Callable[[Tensor], CameraEstimate], clips: int = CLIPS) -> None:
        self._find, self._clips = find, clips
        self._known: OrderedDict[bytes, CameraEstimate] = OrderedDict()

    def __call__(self, frames: Float[Tensor, "batch frame 3 height width"]) -> CameraEstimate:
        return CameraEstimate.stack([self._estimate(clip) for clip in frames])

    def _estimate(self, clip: Float[Tensor, "frame 3 height width"]) -> CameraEstimate:
        key = _content_key(clip)
        if key not in self._known:
            self._known[key] = self._find(clip[None])[0]
            if len(self._known) > self._clips:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _content_key(clip: Tensor) -> bytes:
    pixels = clip.detach().to("cpu", torch.float32).contiguous()
    return blake2b(pixels.numpy().tobytes() + f"{tuple(clip.shape)} {clip.device}".encode(), digest_size=16).digest()
