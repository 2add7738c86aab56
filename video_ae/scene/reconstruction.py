"""A reconstructed video in memory: the model, the scene that it made, and the video that the scene is made from."""

import importlib
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64, UInt8
from PIL import Image
from torch import Tensor

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.atomic import output_folder
from video_ae.formats.ply import GaussianCloud, PointCloud
from video_ae.formats.trajectory import CameraTrajectory, trajectory_of
from video_ae.geometry.resize import as_floats, even_size
from video_ae.geometry.trajectories import PATHS, novel, scene_depth, spread_frames
from video_ae.progress import Stages
from video_ae.renderers.gaussian_rasterizer import fast_device
from video_ae.scene.annotations import VideoModel
from video_ae.scene.exporters import Formats
from video_ae.scene.gaussian_refinement import DEFAULT_STEPS, refined_gaussians
from video_ae.scene.gaussians import scene_gaussians
from video_ae.scene.global_shutter import GlobalShutterReader
from video_ae.scene.points import scene_points
from video_ae.scene.rendering import CHUNK, PartDone, render_chunks, to_bytes, unreported
from video_ae.scene.result_files import WEIGHTS, export_into, read_results, recorded_frames, write_results
from video_ae.scene.source import FrameReader, Source, check_size, frame_rate, shown_times
from video_ae.types import Cameras, DeepVoxels, MultiplaneVolume, Progress, RenderedViews, Scene, TensorRecord
from video_ae.videos.base import VideoReader
from video_ae.videos.load import read_clip

FRAME_BYTES, LEAST_FRAMES, MOST_FRAMES = 2**27, 8, 48  # of the source in memory: views in a row share them
PATH_FRAMES = 96  # of a new path: four seconds
REFINED_FRAMES, REFINED_SIDE = 200, 540  # of a clip, and their shorter side in pixels, that Gaussians are refined on


@dataclass(frozen=True)
class RenderedFrames(TensorRecord):
    """What the structure codes show from the cameras of the clip's own frames.

    Args:
        rgb: 0 .. 255, over black where nothing was seen.
        inverse_depth: 1 / z; NaN where too little was seen.
    """

    rgb: UInt8[Tensor, "frame 3 height width"]
    inverse_depth: Float32[Tensor, "frame height width"]


@dataclass(frozen=True, repr=False)
class Reconstruction:
    """Cameras and structure of a video, ready to be rendered, saved and exported.

    Made by `VideoModel.reconstruct`, `video_ae.reconstruct` and `Reconstruction.load`. Conventions: `video_ae.types`;
    the scale is arbitrary. Sizes are the shorter side of the images in pixels.

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

        It keeps the latest ones: 128 MB of them, at least eight and at most 48.

        Args:
            size: (width, height) to which frames are brought.

        Raises:
            UserError: the video is gone.
        """
        reader, indices = self.source_video(), self.scene.clip.indices.tolist()
        kept = max(LEAST_FRAMES, min(MOST_FRAMES, FRAME_BYTES // (3 * size[0] * size[1])))
        return lru_cache(kept)(lambda position: read_clip(reader, [indices[position]], size, as_bytes=True).frames[0])

    def path(self, name: str, frames: int | None = None) -> Cameras:
        """Cameras along a path.

        Args:
            name: `input` (the video's own), or `orbit`, `spiral`, `dolly` about what the middle keyframe looks at.
            frames: its length; by default that of the video, and 96 for new paths.

        Raises:
            UserError: there is no path of this name.
        """
        if name not in PATHS:
            raise UserError(f"There is no path {name!r}: choose one of {', '.join(PATHS)}.")
        if name == "input":
            return PATHS[name](self._found, 1.0, frames, 0)
        reference = self.keyframes[len(self.keyframes) // 2]
        depth = scene_depth(self.scene.camera.inverse_depth[reference])
        return PATHS[name](self._found, depth, frames or PATH_FRAMES, reference)

    @cached_property
    def novel_path(self) -> Cameras:
        """The path of `novel_view.mp4`: the smoothed path of the video, swinging about it."""
        return novel(self._found, self.scene_depth, min(max(48, 2 * len(self)), 240))

    def render(self, cameras: Cameras, size: int | None = None) -> RenderedViews:
        """Views on the CPU: `.rgb` in [0, 1], `.depth`, `.inverse_depth`, `.opacity`.

        `reconstruction.render(reconstruction.cameras.select([3]))` is the rendering of frame 3.

        Args:
            cameras: one or more, without batch axis.
            size: by default that of `frames`; at most the video's.

        Raises:
            UserError: the cameras have a batch axis or none of views, or the size is below 16.
        """
        views = RenderedViews.cat(list(render_chunks(self, cameras, self.size_of(size))))
        return RenderedViews(views.rgb.clamp(0, 1), views.disparity, views.opacity)

    def render_path(
        self,
        path: str | Cameras = "orbit",
        frames: int | None = None,
        size: int | None = None,
        progress: PartDone = unreported,
    ) -> UInt8[Tensor, "view 3 height width"]:
        """Images along a path, as bytes; `video_ae.write_video` makes a video of them.

        Args:
            path: its name, or its cameras.
            frames: length of a path that is named, as in `path`.
            size: as in `render`.
            progress: called with the part done, from 0 to 1.

        Raises:
            UserError: as `path` and `render`.
        """
        cameras = self.path(path, frames) if isinstance(path, str) else path
        return torch.cat([to_bytes(one.rgb) for one in render_chunks(self, cameras, self.size_of(size), progress)])

    def size_of(self, size: int | None) -> tuple[int, int]:
        """The (width, height) of images whose shorter side is given; both are even.

        Args:
            size: by default that of `frames`.

        Raises:
            UserError: it is below 16.
        """
        check_size(size)
        return self.image_size if size is None else even_size(self.source.image_size, size)

    def render_frames(self, positions: list[int] | None = None, progress: PartDone = unreported) -> RenderedFrames:
        """The frames of the video, rendered from its structure; all of them are computed once.

        Args:
            positions: of some frames in the clip; None renders all.
            progress: called with the part done, from 0 to 1.
        """
        done: RenderedFrames | None = self.__dict__.get("_rendered")
        if done is not None:
            return done if positions is None else done[positions]
        cameras = self._found if positions is None else self._found.select(positions)
        count, (width, height) = len(cameras), self.image_size
        rgb, depth = torch.empty(count, 3, height, width, dtype=torch.uint8), torch.empty(count, height, width)
        parts = zip(rgb.split(CHUNK), depth.split(CHUNK), strict=True)
        chunks = render_chunks(self, cameras, self.image_size, progress)
        for (own_rgb, own_depth), views in zip(parts, chunks, strict=True):
            own_rgb.copy_(to_bytes(views.rgb))
            own_depth.copy_(views.inverse_depth)
        rendered = RenderedFrames(rgb, depth)
        if positions is None:
            self.__dict__["_rendered"] = rendered
        return rendered

    def depth_maps(self) -> Float32[Tensor, "frame height width"]:
        """z that each frame's camera sees, in the scale of the cameras; NaN where too little was seen."""
        return 1 / self.render_frames().inverse_depth

    def points(self) -> PointCloud:
        """Coloured points in the world, where the depths of the keyframes agree; computed once."""
        return self._points

    @cached_property
    def _points(self) -> PointCloud:
        return scene_points(self)

    def gaussians(self) -> GaussianCloud:
        """3D Gaussians in the world, made of the structure codes; computed once.

        After `refine_gaussians` they are the refined ones, in exports as well.

        Raises:
            UserError: the codes of the model have no depth.
        """
        return self._gaussians[0]

    @property
    def gaussians_width(self) -> int:
        """Width in pixels of the images that `gaussians()` were made to show."""
        return self._gaussians[1]

    def refine_gaussians(self, steps: int = DEFAULT_STEPS, progress: PartDone = unreported) -> GaussianCloud:
        """`gaussians()` refined on the frames of the video: about a minute for 25 frames of 576x320 on a laptop.

        They are never worse than before on frames that are kept out for that.

        Args:
            steps: more of them make Gaussians better, each time by less.
            progress: called with the part done, from 0 to 1.

        Raises:
            UserError: the codes of the model have no depth, the video is gone, there are fewer than 0 steps, or neither
                Numba nor gsplat is there.
        """
        if steps < 0:
            raise UserError(f"{steps} steps of refinement are not possible: give 0 or more.", argument="steps")
        device = fast_device(self.scene.camera.confidence.device)
        if device is None:
            raise UserError("Gaussians are refined by compiled loops only: install Numba (pip install numba).")
        start, size = self.gaussians(), even_size(self.source.image_size, REFINED_SIDE)
        frame, chosen = self.source_reader(size), spread_frames(len(self), REFINED_FRAMES)
        cameras, frames = self._found.select(chosen).to(device, torch.float32), [frame(one) for one in chosen]
        with torch.enable_grad():
            refined = refined_gaussians(start.to(device), frames, cameras, steps, progress).to("cpu")
        self.__dict__["_gaussians"] = refined, size[0]
        return refined

    @cached_property
    def _gaussians(self) -> tuple[GaussianCloud, int]:
        self.need_volumes()
        return scene_gaussians(self.scene), self.image_size[0]

    def need_volumes(self) -> None:
        """Refuses models whose codes have no depth.

        Raises:
            UserError: the structure codes are no multiplane volumes.
        """
        if not self.scene.volumes:
            raise UserError(
                f"{type(self.model).__name__} has no multiplane volumes, from which depth and Gaussians are made: take "
                "weights of the perspective model, or another export."
            )

    def overview(self) -> Image.Image:
        """One image that shows what was found: inputs, renderings, disparity, the path from above, confidence."""
        from video_ae.scene.overview import write_overview  # brings matplotlib

        buffer = BytesIO()
        write_overview(buffer, self)
        return Image.open(buffer)

    def view(self, port: int = 8080, host: str = "127.0.0.1") -> Any:
        """Opens a web page on which the reconstruction can be explored, and serves it in the background.

        Args:
            port: of the page; 0 takes a free one.
            host: who can reach it: `127.0.0.1` is this machine only, `0.0.0.0` everybody.

        Returns:
            The `video_ae.viewer.serve.Viewer`; its `close()` ends the page.

        Raises:
            UserError: the viewer's library is not installed, or the page cannot be opened.
        """
        # The viewer ranks above this folder (tests/test_architecture.py) and is there only on request.
        importlib.import_module("video_ae.viewer").require_viser()
        serve = importlib.import_module("video_ae.viewer.serve")
        folder = self.folder or self.save(Path(tempfile.mkdtemp(prefix="video-ae-")) / "view", export=("points",))
        viewer = serve.Viewer(folder, host, port, str(self.scene.camera.confidence.device))
        print(f"{self.name} is shown on http://{viewer.host}:{viewer.port}", flush=True)
        return viewer

    def save(
        self,
        folder: str | Path,
        export: Formats = ("all",),
        overwrite: bool = False,
        progress: Progress | None = None,
        size: int | None = None,
    ) -> Path:
        """Writes what `video-ae reconstruct` writes, for `load` and the commands `render`, `view` and `export`.

        Args:
            folder: appears when it is complete.
            export: names of formats (docs/exports.md), `module.function` for one of your own (docs/extending.md), `all`
                that the scene has something for, or `none`.
            overwrite: whether an earlier reconstruction is replaced.
            progress: called with what is being done and the part done, from 0 to 1.
            size: shorter side of `novel_view.mp4` in pixels; by default the video's, at most 1080.

        Raises:
            UserError: the folder is in the way or cannot be written, or there is no export of a name.
        """
        with output_folder(Path(folder), overwrite) as out, Stages(progress or (lambda stage, done: None)) as stages:
            write_results(out, self, export, stages, size)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto", source: str | Path | None = None) -> "Reconstruction":
        """The reconstruction that `save` or `video-ae reconstruct` wrote.

        Args:
            folder: that was written.
            device: to compute on: "auto", "cpu", "cuda", ...
            source: the video, where it has moved; only exports that hold its images need it.

        Raises:
            UserError: the folder holds no reconstruction or a damaged one, or the device is not available.
        """
        scene, source_video = read_results(Path(folder), None if source is None else Path(source))
        target = choose_device(device)
        # Models rank above this folder (tests/test_architecture.py), since they make reconstructions.
        models = importlib.import_module("video_ae.models.open")
        model = models.load_video_model(Path(folder) / WEIGHTS, target)
        return cls(model, scene.to(target), source_video, Path(folder))

    def export(
        self,
        folder: str | Path,
        formats: Formats = ("all",),
        overwrite: bool = False,
        refine_steps: int = 0,
        progress: PartDone = unreported,
    ) -> list[Path]:
        """Writes the reconstruction in the formats of other programs.

        Args:
            folder: where to write; it may hold other files.
            formats: their names (docs/exports.md), `module.function` for one of your own (docs/extending.md), or `all`
                that the scene has something for.
            overwrite: whether earlier files of these formats are replaced.
            refine_steps: of `refine_gaussians`, before Gaussians are written.
            progress: called with the part of the refinement that is done, from 0 to 1.

        Returns:
            What was written.

        Raises:
            UserError: there is no format of a name, or the scene has nothing for it; the video is gone and its images
                are needed; or a file is in the way.
        """
        return export_into(Path(folder), self, formats, overwrite, refine_steps, progress)
