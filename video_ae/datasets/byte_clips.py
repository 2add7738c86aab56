"""Clips as bytes, on their way from the disk to the device."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from einops import rearrange
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from video_ae.datasets.stored_cameras import cut, mirrored, of_clip
from video_ae.geometry.resize import plan_resizing
from video_ae.tensor_records import TensorRecord
from video_ae.types import CameraEstimate, VideoClip

BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.2, 0.2, 0.2, 0.1  # largest change of the factor; of the angle in radians


@dataclass(frozen=True)
class ByteClip(TensorRecord):
    """One clip as it is stored, a quarter of what floats take.

    Args:
        frames: RGB in 0 .. 255, of any size.
        indices: the frames' numbers in the video.
        times: seconds from the video's start, NaN where it has none.
        name: of the video.
        position: of the clip in the training order.
        estimate: of its cameras, as `stored_cameras.cut` gives it for the frames; None where none is stored.
    """

    frames: UInt8[Tensor, "frame 3 height width"]
    indices: Int64[Tensor, "frame"]
    times: Float64[Tensor, "frame"]
    name: str
    position: int = 0
    estimate: CameraEstimate | None = None

    def pin_memory(self) -> "ByteClip":
        """The clip in page-locked memory, which is copied to a device asynchronously; DataLoader calls it."""
        return self._map(lambda tensor, axes: tensor.pin_memory())


def finish_batch(clips: Sequence[ByteClip], size: tuple[int, int], augment_seed: int | None = None) -> VideoClip:
    """Clips of one size as floats in [0, 1], computed on the device of the bytes.

    Each clip is scaled until it covers the size, and its centre is cropped. The result has no true cameras, which
    training never sees, and stored ones where all clips have them; the names are joined by commas.

    Args:
        clips: of one length; their own sizes may differ.
        size: (width, height) in pixels.
        augment_seed: the seed of `augment`, which changes each clip by its own position; no augmentation by default.
    """
    finished = []
    stored = all(clip.estimate is not None for clip in clips)
    for clip in clips:
        resizing = plan_resizing((clip.frames.shape[-1], clip.frames.shape[-2]), size, "crop")
        floats = resizing.bytes(clip.frames).float() / 255
        frames = floats if augment_seed is None else augment(floats, augment_seed, clip.position)
        estimate = None
        if stored and clip.estimate is not None:
            estimate = of_clip(cut(clip.estimate, resizing))
            if augment_seed is not None and _drawn(augment_seed, clip.position)[1]:
                estimate = mirrored(estimate)
        finished.append(VideoClip(frames, clip.indices, clip.times, estimate=estimate))
    return replace(VideoClip.stack(finished), name=", ".join(clip.name for clip in clips))


def augment(
    frames: Float[Tensor, "frame 3 height width"], seed: int, position: int
) -> Float[Tensor, "frame 3 height width"]:
    """The frames with random brightness, contrast, saturation and hue, the same for all, and mirrored half of the time.

    Brightness, contrast and saturation are those of Pillow's ImageEnhance (and torchvision's ColorJitter): contrast
    about the mean luma, here the clip's, and saturation about each pixel's. A mirrored video is a video of the mirrored
    world, so its motion stays rigid.

    Args:
        frames: RGB in [0, 1].
        seed: of the draw, together with the position.
        position: of the clip in the training order.
    """
    from kornia import enhance

    (brightness, contrast, saturation, hue), mirror = _drawn(seed, position)
    # One tall image, so that its mean is that of all frames. In kornia, `adjust_contrast` is a brightness, and
    # `adjust_saturation` keeps the largest channel in place of the luma.
    tall = rearrange(frames, "frame rgb height width -> rgb (frame height) width")
    tall = enhance.adjust_brightness_accumulative(tall, 1 + brightness)
    tall = enhance.adjust_contrast_with_mean_subtraction(tall, 1 + contrast)
    tall = enhance.adjust_saturation_with_gray_subtraction(tall, 1 + saturation)
    tall = enhance.adjust_hue(tall, hue)
    changed = rearrange(tall, "rgb (frame height) width -> frame rgb height width", frame=len(frames))
    return changed.flip(-1) if mirror else changed


def _drawn(seed: int, position: int) -> tuple[list[float], bool]:
    """(changes of brightness, contrast, saturation and hue; whether the clip is mirrored)."""
    draw = random.Random(f"augment {seed} {position}")
    return [draw.uniform(-most, most) for most in (BRIGHTNESS, CONTRAST, SATURATION, HUE)], draw.random() < 0.5
