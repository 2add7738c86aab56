"""The contracts of models: an autoencoder of clips, and one that also handles whole videos."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from video_ae.errors import UserError
from video_ae.formats.lens import Lens
from video_ae.geometry.rolling_shutter import as_global_shutter, image_motion
from video_ae.geometry.trajectories import interpolate
from video_ae.models.video_input import open_input
from video_ae.progress import reporting_to
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.source import Video, check_numbers, read_source
from video_ae.scene.undistort import UndistortedReader
from video_ae.steps import kept
from video_ae.types import CameraEstimate, Cameras, LensOffset, ModelOutput, Progress, RenderedViews, Scene, VideoClip
from video_ae.videos.base import VideoReader

_LENS_ROUNDS = 4  # a strong lens is found in parts
_FOUND_AT_ONCE = 0.05  # of k1, below which no further round is made
_LENS_FRAMES = 96  # in the middle of a clip, that tell a lens from a rolling shutter
DEFAULT_REFINE_STEPS = 4
"""Rounds of test-time refinement that take about a minute for 25 frames on two cores; more gains little."""


@dataclass(frozen=True)
class Options:
    """What a model is told beside the frames: how their cameras are found, and whom to tell how far it is.

    Args:
        focal: fx / width where it is known; else it is found.
        refine_steps: rounds of test-time refinement; 0: feed-forward. Models that do not refine ignore it.
        progress: called with what is being done and the part done, from 0 to 1.
        expected_focal: a guess of fx / width, such as a file's metadata are.
        constant_focal: whether nothing zooms for sure.
        structure: whether `encode_scene` makes structure codes, where a model finds cameras without them.
    """

    focal: float | None = None
    refine_steps: int = 0
    progress: Progress = lambda stage, done: None
    expected_focal: float | None = None
    constant_focal: bool = False
    structure: bool = True


class Autoencoder(nn.Module, ABC):
    """VideoClip -> ModelOutput. One file per model; parts come from `structure`, `camera` and `renderers`.

    A model reads `clip.frames` only, never `clip.cameras`. Constructor arguments are plain typed values (they are the
    YAML of a run and are saved beside the weights).
    """

    only_at_start: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments that a fresh model needs and saved weights do not: saved as null."""

    settings: dict[str, Any]
    """`{"class_path", "init_args"}`, complete: set by `video_ae.models.open.build_model`, saved beside the weights."""

    @abstractmethod
    def forward(self, clip: VideoClip) -> ModelOutput:
        """Encodes a batch of clips and renders some of their frames.

        Args:
            clip: `clip.frames` is [batch, frame, 3, height, width].
        """


class VideoModel(Autoencoder):
    """An autoencoder that finds the cameras of a whole video, reconstructs it, and renders it from anywhere.

    Clips, cameras and results of these methods have no batch axis.
    """

    refines: ClassVar[bool] = False
    """Whether the model can go on solving on the user's own clip (`Options.refine_steps`)."""

    def reconstruct(
        self,
        video: Video,
        stride: int = 1,
        frames: int | None = None,
        focal: float | None = None,
        fov_degrees: float | None = None,
        K: Any = None,
        refine_iterations: int = DEFAULT_REFINE_STEPS,
        decoder: str = "auto",
        progress: Progress | None = None,
        camera: str | Path | Lens | None = None,
        structure: bool = True,
        expected_focal: float | None = None,
    ) -> Reconstruction:
        """Cameras and structure of a video, as a record that is rendered, saved and exported.

        Args:
            video: a path of a video file or of a folder of images; a tensor [frame, 3, height, width] (floats in
                [0, 1], or bytes); an array [frame, height, width, 3]; a list of images (PIL's, or arrays); a
                `VideoClip`; or an open `VideoReader`. The model gets frames whose shorter side has at most 192 pixels.
            stride: every `stride`-th frame is taken.
            frames: and of those the first so many; None takes all.
            focal: fx / width where it is known; else it is found.
            fov_degrees: or the horizontal field of view.
            K: or the calibration matrix [3, 3] in pixels of the video.
            refine_iterations: rounds of test-time refinement of the cameras; 0: feed-forward.
            decoder: of video files: "auto", "torchcodec", "pyav" or "decord".
            progress: called with what is being done and the part done, from 0 to 1.
            camera: the lens, the file of its calibration (`formats.camera_file`) or "pinhole"; by default a lens is
                searched for where no focal length is given. Where there is one, frames are undistorted, and the cameras
                are those of the undistorted frames.
            structure: whether structure codes are made, half of the work; without them there are cameras alone.
            expected_focal: a guess of fx / width, from which the search begins; by default what a file's metadata say.

        Raises:
            UserError: the video is none of these, cannot be read or leaves fewer than two frames, or a number makes no
                sense.
        """
        check_numbers(stride, frames, focal, refine_iterations)
        given = open_input(video, stride, frames, decoder, focal, fov_degrees, K, camera, expected_focal)
        report = progress or Options.progress
        options = Options(given.focal, refine_iterations, report, given.expected_focal, structure=structure)
        options.progress("reading the video", 0.0)
        clip, reader, notes = kept("frames", given.read), given.reader, given.notes
        options.progress("reading the video", 1.0)
        device = next((one.device for one in self.parameters()), torch.device("cpu"))
        clip = clip.to(device)
        if given.searches_lens:
            reader, clip = self.without_lens(reader, clip, options, stride, frames)
            notes = (*notes, reader.note) if isinstance(reader, UndistortedReader) else notes
        with reporting_to(options.progress):
            scene = self.encode_scene(clip, options)
        scene = replace(scene, camera=replace(scene.camera, notes=(*scene.camera.notes, *notes)))
        return Reconstruction(self, scene, given.source(reader, refine_iterations, str(device)))

    def without_lens(
        self, reader: VideoReader, clip: VideoClip, options: Options, stride: int = 1, frames: int | None = None
    ) -> tuple[VideoReader, VideoClip]:
        """The reader and the clip without the distortion of a lens, where one is found (`find_lens`); else as given.

        Args:
            reader: of the video.
            clip: that `read_source` took from it, on the model's device.
            options: how the cameras are found.
            stride, frames: that it was taken with.
        """
        for number in range(_LENS_ROUNDS):
            options.progress("lens", number / _LENS_ROUNDS)
            offset = kept("lens", partial(self.find_lens, clip, options))
            if offset is not None and number == 0 and options.refine_steps:
                offset = kept("lens-and-shutter", partial(self._without_shutter, clip, options, offset))
            if offset is None:
                break
            try:
                reader = UndistortedReader.correcting(reader, offset)
            except UserError:  # one that leaves no full image was not found, but mistaken
                break
            clip = kept("frames", partial(read_source, reader, stride, frames)).to(clip.frames.device)
            if abs(offset.radial) < _FOUND_AT_ONCE and not any(offset.centre):
                break
        options.progress("lens", 1.0)
        return reader, clip

    def _without_shutter(self, clip: VideoClip, options: Options, found: LensOffset) -> LensOffset | None:
        """The lens that was found; searched for anew where a shutter rolls, which can be taken for one."""
        first = max(0, (len(clip) - _LENS_FRAMES) // 2)
        part = clip.select(slice(first, first + _LENS_FRAMES))
        camera = self.find_cameras(part, replace(options, constant_focal=True))  # a lens can be taken for a zoom, too
        if not camera.readout:
            return found
        straight = as_global_shutter(part.frames, image_motion(camera), camera.readout)
        return self.find_lens(replace(part, frames=straight), options)

    @abstractmethod
    def find_cameras(self, clip: VideoClip, options: Options = Options()) -> CameraEstimate:
        """The cameras of a clip. The first frame is the world.

        Args:
            clip: at least two frames, floats or bytes (`geometry.resize.as_floats`).
            options: how they are found.
        """

    def find_lens(self, clip: VideoClip, options: Options = Options()) -> LensOffset | None:
        """How the camera of a clip differs from a pinhole; None where it does not, or the model cannot tell.

        Args:
            clip: at least two frames, floats or bytes.
            options: how the cameras are found.
        """
        return None

    @abstractmethod
    def encode_scene(self, clip: VideoClip, options: Options = Options()) -> Scene:
        """The cameras of all frames of a video and structure codes at its keyframes.

        Args:
            clip: at least two frames, floats or bytes (`geometry.resize.as_floats`).
            options: how the cameras are found, and who is told how far it is.
        """

    def encode_structures(self, clip: VideoClip, estimate: CameraEstimate, options: Options = Options()) -> Scene:
        """A scene of frames whose cameras are known already.

        Args:
            clip: as in `encode_scene`.
            estimate: of the same frames, on the model's device.
            options: of which `progress` counts.

        Raises:
            UserError: the model finds cameras and structure in one.
        """
        raise UserError(f"{type(self).__name__} finds cameras and structure in one: give weights of another model.")

    @abstractmethod
    def render(self, scene: Scene, cameras: Cameras, size: tuple[int, int] | None = None) -> RenderedViews:
        """Views of a scene from the structure codes of its keyframes.

        Args:
            scene: of `encode_scene`, on the model's device.
            cameras: in the scene's world.
            size: (width, height) of the images, by default the clip's.
        """

    @abstractmethod
    def synthesize(self, contexts: VideoClip, target: VideoClip, options: Options = Options()) -> RenderedViews:
        """A held-out frame at its own size, rendered from a code of the contexts in the target's camera (one view).

        The target's pixels serve its pose alone; the structure code never sees them.

        Args:
            contexts: the frames that the code is made of.
            target: one frame.
            options: how the cameras are found.
        """

    def synthesize_between(self, contexts: VideoClip, index: float, options: Options = Options()) -> RenderedViews:
        """A view whose frame nobody has: its camera lies on the straight path between the contexts' (one view).

        Args:
            contexts: the frames that the code is made of.
            index: frame number in the source, between those of two contexts.
            options: how the cameras are found.

        Raises:
            UserError: the number does not lie between two contexts.
        """
        scene = self.encode_scene(contexts, options)
        return self.render(scene, camera_between(scene.cameras, contexts.indices, index), contexts.image_size)

    def encode_image(self, frame: Float[Tensor, "3 height width"], focal_over_width: float | None = None) -> Scene:
        """A scene of a single image, whose depth is a guess and whose typical depth is 1.

        Args:
            frame: RGB in [0, 1].
            focal_over_width: where it is known, as fx / width.

        Raises:
            UserError: the model makes no structure of a single image.
        """
        raise UserError(
            f"{type(self).__name__} makes no structure of a single image: give weights of the perspective model."
        )


def camera_between(cameras: Cameras, indices: Int[Tensor, "frame"], index: float) -> Cameras:
    """The camera (one frame) at a frame number, on the straight path between those of a clip.

    Args:
        cameras: of the frames of a clip.
        indices: their frame numbers, rising.
        index: the number that is asked for.

    Raises:
        UserError: it does not lie between two frames of the clip.
    """
    given = indices.double().cpu()
    after = int(torch.searchsorted(given, torch.tensor(index, dtype=torch.float64)))
    if not 0 < after < len(given):
        raise UserError(
            f"frame {index:g} does not lie between the frames {indices.tolist()}, so its camera cannot be "
            "interpolated: hide targets only in the kind 'middle'."
        )
    position = after - 1 + (index - given[after - 1]) / (given[after] - given[after - 1])
    return interpolate(cameras, position[None].to(cameras.intrinsics.device), "linear")
