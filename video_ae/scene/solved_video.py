"""What was found in a video: its cameras, its structure codes, and the frames that they were found in."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.trajectory import CameraTrajectory, trajectory_of
from video_ae.geometry.resize import as_floats, plan_resizing
from video_ae.geometry.trajectories import scene_depth
from video_ae.scene.annotations import VideoModel
from video_ae.scene.global_shutter import GlobalShutterReader
from video_ae.scene.rendering import to_bytes
from video_ae.scene.result_files import recorded_frames
from video_ae.scene.source import FrameReader, Source, frame_rate, shown_times
from video_ae.types import Cameras, DeepVoxels, MultiplaneVolume, Scene
from video_ae.videos.base import VideoReader

FRAME_BYTES, LEAST_FRAMES, MOST_FRAMES = 2**27, 8, 48  # of the source in memory: views in a row share them


@dataclass(frozen=True, repr=False)
class SolvedVideo:
    """A video whose cameras and structure were found. Conventions: `video_ae.types`; the scale is arbitrary.

    Args:
        model: that made the scene.
        scene: on the model's device.
        source: the video.
        folder: where the reconstruction was loaded from; None for a new one. The scene of a loaded one has a black
            clip.
    """

    model: VideoModel
    scene: Scene
    source: Source
    folder: Path | None = None

    def __repr__(self) -> str:
        certain = self.confidence.mean().item()
        return f"<{self.name}: {len(self)} frames, focal length {self.focal:.3f}, confidence {certain:.2f}>"

    def __len__(self) -> int:
        return len(self.scene.clip)

    @property
    def name(self) -> str:
        """Of the video, for people."""
        return self.scene.clip.name or self.source.name

    @cached_property
    def trajectory(self) -> CameraTrajectory:
        """The cameras as files hold them: float64, the first frame's camera is the world."""
        camera, size = self.scene.camera, self.source.image_size
        trajectory = trajectory_of(camera.cameras, self.scene.clip, camera.confidence, size)
        return replace(trajectory, readout=camera.readout, start=self.source.start)

    @property
    def cameras(self) -> Cameras:
        """One camera a frame, float64 on the CPU; the first frame's camera is the world."""
        return self.trajectory.cameras

    @cached_property
    def _found(self) -> Cameras:
        """The cameras as the model found them, which are rendered: `cameras` up to rounding."""
        return self.scene.cameras.to("cpu", torch.float64)

    @property
    def focal(self) -> float:
        """fx / width; of the first frame, where it changes."""
        return self.cameras.intrinsics[0, 0].item()

    @property
    def focal_deviation(self) -> float | None:
        """Standard deviation of the focal length's logarithm: 0.1 is about 10 %; None where it was given."""
        return self.scene.camera.focal_deviation

    @property
    def confidence(self) -> Float[Tensor, "frame"]:
        """Of each camera: 0 (a guess) to 1 (well determined)."""
        return self.trajectory.confidence

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what could not be determined."""
        return self.scene.camera.notes

    @property
    def times(self) -> Float[Tensor, "frame"]:
        """Seconds from the start of the video; NaN for images without times."""
        return self.scene.clip.times.cpu()

    @property
    def frame_rate(self) -> float:
        """Frames a second at which the reconstructed frames last as long as in the video."""
        return frame_rate(self.times)

    @property
    def shown_times(self) -> Float64[Tensor, "frame"]:
        """Seconds from the first frame at which each is shown, in the steps of the video."""
        return shown_times(self.times)

    @property
    def keyframes(self) -> tuple[int, ...]:
        """Positions of the frames that hold the structure codes."""
        return self.scene.keyframes

    @property
    def structures(self) -> tuple[MultiplaneVolume, ...] | tuple[DeepVoxels, ...]:
        """The structure code of each keyframe, on the model's device."""
        return self.scene.structures

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of the frames that the model got, in pixels."""
        return self.scene.clip.image_size

    @cached_property
    def scene_depth(self) -> float:
        """A typical depth of the scene, in the scale of the cameras."""
        return scene_depth(self.scene.camera.inverse_depth)

    @cached_property
    def frames(self) -> Float[Tensor, "frame 3 height width"]:
        """The frames that the model got: RGB in [0, 1], shorter side at most 192 pixels.

        Those of a loaded reconstruction come from its `reconstruction.mp4`.
        """
        if self.folder is None:
            return as_floats(self.scene.clip.frames.cpu())
        frame = self.need_frame_reader()
        return torch.stack([as_floats(frame(position)) for position in range(len(self))])

    def frame_reader(self) -> FrameReader | None:
        """A function that reads one of `frames` by its position; None where a loaded reconstruction has lost them."""
        if self.folder is not None:
            return recorded_frames(self.folder, self.scene.clip)
        frames = self.scene.clip.frames.cpu()
        return (frames if frames.dtype == torch.uint8 else to_bytes(frames)).__getitem__

    def need_frame_reader(self) -> FrameReader:
        """A function that reads one of `frames` by its position, as bytes.

        Raises:
            UserError: a loaded reconstruction has lost its frames.
        """
        frame = self.frame_reader()
        if frame is None:
            raise UserError(f"The reconstruction in {str(self.folder)!r} has lost the video of its frames.")
        return frame

    def source_video(self) -> VideoReader:
        """The video, opened again; without the bend of a rolling shutter, where one was found.

        Raises:
            UserError: the video is gone.
        """
        reader, camera = self.source.open(), self.scene.camera
        return GlobalShutterReader(reader, camera, self.scene.clip.indices) if camera.readout else reader

    def source_reader(self, size: tuple[int, int]) -> FrameReader:
        """A function that reads a frame of the clip from the video, by its position.

        It keeps the latest ones: 128 MB of them, at least eight and at most 48. They lie in memory as decoders deliver
        them, channels last.

        Args:
            size: (width, height) to which frames are brought.

        Raises:
            UserError: the video is gone.
        """
        reader, indices = self.source_video(), self.scene.clip.indices.tolist()
        resizing = plan_resizing(reader.image_size, size)
        kept = max(LEAST_FRAMES, min(MOST_FRAMES, FRAME_BYTES // (3 * size[0] * size[1])))

        def frame(position: int) -> UInt8[Tensor, "3 height width"]:
            frames = resizing.bytes(reader.read([indices[position]]))
            return frames.contiguous(memory_format=torch.channels_last)[0]

        return lru_cache(kept)(frame)
