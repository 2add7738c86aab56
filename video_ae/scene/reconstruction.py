"""A reconstructed video in memory: the model, the scene that it made, and the video that the scene is made from."""

import importlib
import tempfile
import weakref
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.atomic import output_folder
from video_ae.formats.ply import GaussianCloud, PointCloud
from video_ae.geometry.resize import even_size
from video_ae.geometry.trajectories import spread_frames
from video_ae.progress import Stages
from video_ae.renderers.gaussian_rasterizer import fast_device
from video_ae.scene.exporters import Formats
from video_ae.scene.gaussian_refinement import DEFAULT_STEPS, refined_gaussians
from video_ae.scene.gaussians import scene_gaussians
from video_ae.scene.points import scene_points
from video_ae.scene.renderable_video import RenderableVideo
from video_ae.scene.rendering import PartDone, unreported
from video_ae.scene.result_files import WEIGHTS, export_into, read_results, write_results
from video_ae.types import Progress

REFINED_FRAMES, REFINED_SIDE = 200, 540  # of a clip, and their shorter side in pixels, that Gaussians are refined on


@dataclass(frozen=True, repr=False)
class Reconstruction(RenderableVideo):
    """Cameras and structure of a video, ready to be rendered, saved and exported.

    Made by `VideoModel.reconstruct`, `video_ae.reconstruct` and `Reconstruction.load`. What was found: `SolvedVideo`;
    views of it: `RenderableVideo`.

    Args:
        model: that made the scene.
        scene: on the model's device.
        source: the video.
        folder: where the reconstruction was loaded from; None for a new one. The scene of a loaded one has a black
            clip.
    """

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

    def view(self, port: int = 8080, host: str = "127.0.0.1", token: str = "auto") -> Any:
        """Opens a web page on which the reconstruction can be explored, and serves it in the background.

        Args:
            port: of the page; 0 takes a free one.
            host: who can reach it: `127.0.0.1` is this machine only, `0.0.0.0` everybody.
            token: in the address, without which nobody sees the page: "auto" (random, and none on this machine only),
                "random", "none", or a text of one's own.

        Returns:
            The `video_ae.viewer.serve.Viewer`; its `close()` ends the page.

        Raises:
            UserError: the viewer's library is not installed, or the page cannot be opened.
        """
        # The viewer ranks above this folder (tests/test_architecture.py) and is there only on request.
        importlib.import_module("video_ae.viewer").require_viser()
        serve = importlib.import_module("video_ae.viewer.serve")
        folder, temporary = self.folder, None
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="video-ae-", ignore_cleanup_errors=True)
            folder = self.save(Path(temporary.name) / "view", export=("points",))
        viewer = serve.Viewer(folder, host, port, str(self.scene.camera.confidence.device), token)
        if temporary is not None:
            weakref.finalize(viewer, temporary.cleanup)  # which Python also does at its end
        print(f"{self.name} is shown on {viewer.url}", flush=True)
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
