"""The contract of a data set: videos by number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from video_ae.geometry.resize import Fit, plan_resizing
from video_ae.types import CameraEstimate, Cameras, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.load import read_clip


@dataclass(frozen=True)
class KnownCameras:
    """What a data set says of the frames of one video.

    Args:
        cameras: in float64, one a frame; None where they are no pinholes: the clips have frames and no cameras.
        times: seconds from the first frame, NaN where the data set has none.
    """

    cameras: Cameras | None
    times: Float64[Tensor, "frame"]


class Sendable:
    """An object that goes to other processes without the values of its cached properties: these are made there anew.

    What is mapped into memory, open or large stays out of the loader's messages that way.
    """

    def __getstate__(self) -> dict[str, Any]:
        made = {name for name in vars(self) if isinstance(getattr(type(self), name, None), cached_property)}
        return {name: value for name, value in vars(self).items() if name not in made}


class ClipSource:
    """Some videos, reached by number.

    A data set sets both attributes in its constructor and implements `open`; or, where its frames come from no reader,
    `frame_count` and `load`.

    Attributes:
        names: the name of each video, unique within the source.
        skipped: name -> reason of everything that was found but cannot be used; it has no number.
    """

    names: Sequence[str]
    skipped: dict[str, str]

    def __len__(self) -> int:
        return len(self.names)

    def open(self, number: int) -> VideoReader:
        """A reader of one video.

        Args:
            number: of the video, from 0.

        Raises:
            UserError: when the video cannot be read.
        """
        raise TypeError(f"{type(self).__name__} has neither `open` nor a `load` of its own")

    def known_cameras(self, number: int) -> KnownCameras | None:
        """Cameras and times of one video; None, the default, where the data set has frames alone.

        Args:
            number: of the video, from 0.
        """
        return None

    def stored_cameras(self, number: int) -> CameraEstimate | None:
        """What was found of the cameras of one video at an earlier time; None, the default, where nothing is stored.

        Args:
            number: of the video, from 0.

        Raises:
            UserError: what is stored is damaged.
        """
        return None

    def frame_count(self, number: int) -> int:
        """Frames of one video.

        Args:
            number: of the video, from 0.
        """
        return len(self.open(number))

    def load(
        self,
        number: int,
        indices: Sequence[int] | None = None,
        size: int | tuple[int, int] | None = None,
        fit: Fit = "stretch",
    ) -> VideoClip:
        """Frames of one video, without batch axis.

        Args:
            number: of the video, from 0.
            indices: numbers of the frames, in the order of the clip; all by default.
            size: None keeps the source's size, a number is the shorter side, (width, height) is exact.
            fit: as in `video_ae.geometry.resize.plan_resizing`; intrinsics follow the crop.

        Raises:
            UserError: when the video cannot be read.
            IndexError: when it has no such frame.
        """
        reader, known = self.open(number), self.known_cameras(number)
        clip = read_clip(reader, range(len(reader)) if indices is None else indices, size, fit)
        if known is None:
            return clip
        cameras = known.cameras
        if cameras is not None:
            cameras = cameras.select(clip.indices)
            intrinsics = plan_resizing(reader.image_size, size, fit).intrinsics(cameras.intrinsics)
            cameras = replace(cameras, intrinsics=intrinsics).to(torch.float32)
        return replace(clip, name=self.names[number], cameras=cameras, times=known.times[clip.indices])
