"""`video_ae.reconstruct`: what the command does, for programs and notebooks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import output_folder
from video_ae.formats.ply import PointCloud
from video_ae.geometry.trajectories import PATHS
from video_ae.models.base import DEFAULT_REFINE_STEPS
from video_ae.pipelines.reconstruct import TakenVideo, findings_of, shown_frames, take_video, write_results
from video_ae.pipelines.render import path_cameras
from video_ae.progress import Stages
from video_ae.scene.exporters import known_inverse_depth
from video_ae.scene.overview import write_overview
from video_ae.scene.points import scene_points
from video_ae.scene.rendering import Progress, even_size, render_chunks, to_bytes
from video_ae.types import Cameras, MultiplaneVolume


@dataclass(frozen=True)
class Views:
    """Pictures of a scene, on the CPU.

    frames: RGB in [0, 1], over black where nothing was seen. inverse_depth: 1 / z in the rendering camera's axes, in
    the cameras' scale; NaN where too little was seen. opacity: 0 (nothing was seen) to 1.
    """

    frames: Float[Tensor, "view 3 height width"]
    inverse_depth: Float[Tensor, "view height width"]
    opacity: Float[Tensor, "view height width"]


@dataclass(frozen=True)
class VideoReconstruction:
    """A video, taken apart into cameras and structure. Conventions: `video_ae.types`; the scale is arbitrary."""

    taken: TakenVideo

    def __repr__(self) -> str:
        certain = self.confidence.mean().item()
        return f"<{self.taken.clip.name}: {len(self)} frames, focal length {self.focal:.3f}, confidence {certain:.2f}>"

    def __len__(self) -> int:
        return len(self.taken.clip)

    @property
    def frames(self) -> Float[Tensor, "frame 3 height width"]:
        """The input frames as the model got them: RGB in [0, 1], shorter side at most 192 pixels."""
        return self.taken.clip.frames

    @property
    def times(self) -> Float[Tensor, "frame"]:
        """Seconds from the start of the video; NaN for folders of pictures."""
        return self.taken.clip.times

    @property
    def cameras(self) -> Cameras:
        """One camera a frame, float64: `world_from_camera` [frame, 4, 4] (OpenCV axes; the first frame's camera is the
        world) and `intrinsics` [frame, 4] (fx, fy, cx, cy divided by width and height)."""
        return self.taken.track.cameras

    @property
    def focal(self) -> float:
        """fx / width."""
        return self.cameras.intrinsics[0, 0].item()

    @property
    def confidence(self) -> Float[Tensor, "frame"]:
        """Of each camera: 0 (a guess) to 1 (well determined)."""
        return self.taken.track.confidence

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what could not be determined."""
        return self.taken.notes

    @property
    def keyframes(self) -> tuple[int, ...]:
        """The frames whose frusta hold the structure."""
        return self.taken.scene.keyframes

    @property
    def structure(self) -> tuple[MultiplaneVolume, ...]:
        """The 3D structure code of each keyframe, on the model's device."""
        return self.taken.scene.structures

    @cached_property
    def points(self) -> PointCloud:
        """`points` [point, 3] in the world, `colors` (bytes) and `confidence` (0 to 1): what the keyframes agree on."""
        return scene_points(self.taken.model, self.taken.scene, self.taken.clip.image_size, self.taken.depth)

    def path(self, name: str, frames: int | None = None) -> Cameras:
        """Cameras along `input` (the video's own), `orbit`, `spiral` or `dolly`. Raises UserError for other names."""
        if name not in PATHS:
            raise UserError(f"There is no path {name!r}: choose one of {', '.join(PATHS)}.")
        return path_cameras(self.taken.scene, name, frames)[0]

    def render(self, camera: Cameras, size: int | None = None) -> Views:
        """What is seen from one or more cameras (without batch axis); size: shorter side, by default the working size.

        `reconstruction.render(reconstruction.cameras.select([3]))` is the rendering of frame 3.
        """
        if camera.world_from_camera.ndim != 3:
            shape = list(camera.world_from_camera.shape)
            raise UserError(f"The cameras have the shape {shape}, and [view, 4, 4] is needed: use cameras.select([3]).")
        taken = self.taken
        views = [part for _, part in render_chunks(taken.model, taken.scene, camera, self._size(size))]
        opacity = torch.cat([part.opacity[0] for part in views])
        disparity = torch.cat([part.disparity[0] for part in views])
        frames = torch.cat([part.frames[0] for part in views]).clamp(0, 1)
        return Views(frames, known_inverse_depth(disparity, opacity), opacity)

    def render_path(
        self, path: str | Cameras = "orbit", frames: int | None = None, size: int | None = None
    ) -> UInt8[Tensor, "view 3 height width"]:
        """Pictures (0 to 255) along a path, by name or camera by camera; `video_ae.videos.writer.write_video` makes a
        video of them."""
        cameras = self.path(path, frames) if isinstance(path, str) else path
        return to_bytes(self.render(cameras, size).frames)

    def show(self) -> Image.Image:
        """The overview as a picture: inputs, renderings, disparity, the path from above, confidence."""
        shown = shown_frames(self.taken)
        views = self.render(self.cameras.select(shown))
        buffer = BytesIO()
        write_overview(buffer, findings_of(self.taken, shown, to_bytes(views.frames), views.inverse_depth, self.points))
        return Image.open(buffer)

    def save(
        self,
        folder: str | Path,
        export: Sequence[str] = ("all",),
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Writes what `video-ae reconstruct --out FOLDER` writes, for `render`, `view` and `export`.

        Raises UserError for a folder that is in the way and for unknown exports.
        """
        with output_folder(Path(folder), overwrite) as out, Stages(progress or _silent) as stages:
            write_results(out, self.taken, export, stages)
        return Path(folder)

    def _size(self, size: int | None) -> tuple[int, int]:
        if size is None:
            return self.taken.clip.image_size
        if size < 16:
            raise UserError(f"A size of {size} pixels is not possible: give 16 or more.")
        return even_size(self.taken.reader.image_size, size)


def reconstruct(
    source: str | Path,
    weights: str | Path | None = None,
    stride: int = 1,
    frames: int | None = None,
    focal: float | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    device: str = "auto",
    decoder: str = "auto",
    progress: Progress | None = None,
) -> VideoReconstruction:
    """Takes a video (or folder of pictures) apart, as `video-ae reconstruct` does, and keeps the result in memory.

    stride, frames: every `stride`-th frame, of those the first `frames`. focal: known fx / width. refine: steps of
    refinement on this clip; 0: feed-forward. weights: a RUN folder or file (None: the package's own). progress: called
    with (what is being done, part done from 0 to 1). Raises UserError for bad input.
    """
    taken = take_video(
        Path(source), None if weights is None else Path(weights), stride, frames, focal, refine, device, decoder,
        progress or _silent,
    )  # fmt: skip
    return VideoReconstruction(taken)


def _silent(stage: str, done: float) -> None:
    """Nobody wants to know."""
