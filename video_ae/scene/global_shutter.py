"""A video whose shutter rolls, read as if all rows of a frame had been read at once."""

from jaxtyping import Int, UInt8
from torch import Tensor

from video_ae.geometry.rolling_shutter import as_global_shutter, image_motion
from video_ae.types import CameraEstimate
from video_ae.videos.base import VideoReader


class GlobalShutterReader(VideoReader):
    """The frames of another reader at the times of their middle rows.

    Args:
        reader: of the video.
        camera: what was found of a clip of these frames, with its readout time.
        indices: numbers of the clip's frames in the video, rising; others are taken to move as the nearest of them.
    """

    def __init__(self, reader: VideoReader, camera: CameraEstimate, indices: Int[Tensor, "frame"]) -> None:
        super().__init__(reader.name, reader.image_size, reader.times)
        self._reader, self._readout, self._indices = reader, camera.readout, indices.cpu()
        self._motion = image_motion(camera).cpu()

    def decode(self, numbers: list[int]) -> UInt8[Tensor, "frame 3 height width"]:
        nearest = [int((self._indices - number).abs().argmin()) for number in numbers]
        return as_global_shutter(self._reader.decode(numbers), self._motion[nearest], self._readout)
