"""A user's video in; cameras, structure and new views out."""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import video_ae
from video_ae.device import choose_device
from video_ae.formats.atomic import write_atomically
from video_ae.formats.cameras_json import write_track_json
from video_ae.formats.output_folder import MARK, output_folder
from video_ae.formats.ply import PointCloud
from video_ae.formats.scene import frame_rate, save_scene
from video_ae.formats.trajectory import CameraTrajectory, track_of
from video_ae.geometry.trajectories import novel, scene_depth
from video_ae.models.base import DEFAULT_REFINE_STEPS, Autoencoder
from video_ae.models.open import save_weights
from video_ae.pipelines.inputs import check_numbers, open_source, read_source
from video_ae.progress import Stages
from video_ae.scene.exporters import (
    ExportJob,
    chosen_exports,
    known_inverse_depth,
    possible_exports,
    write_exports,
)
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.overview import SHOWN, Findings, write_overview
from video_ae.scene.rendering import (
    Progress,
    SceneModel,
    load_scene_model,
    render_chunks,
    to_bytes,
)
from video_ae.types import Cameras, Scene, VideoClip
from video_ae.videos.base import VideoReader
from video_ae.videos.writer import write_video

NOVEL_RATE = 24.0  # frames a second of novel_view.mp4
INPUT_VIDEO = "reconstruction.mp4"  # input beside rendering
SCENE_FOLDER = "scene"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class TakenVideo:
    """A video, taken apart: what the results are made from.

    scene: on the model's device; its clip's frames are those that the model got. settings: what was asked for.
    """

    reader: VideoReader
    clip: VideoClip
    model: SceneModel
    module: Autoencoder
    scene: Scene
    settings: dict[str, Any]

    @cached_property
    def cameras(self) -> Cameras:
        """Of all frames, without batch axis, float64 on the CPU."""
        found = self.scene.camera.cameras
        return Cameras(found.world_from_camera[0], found.intrinsics[0]).to("cpu", torch.float64)

    @cached_property
    def track(self) -> CameraTrajectory:
        """The cameras as files hold them."""
        return track_of(self.cameras, self.clip, self.scene.camera.confidence[0], self.reader.image_size)

    @cached_property
    def depth(self) -> float:
        """A typical depth of the scene."""
        return scene_depth(self.scene.camera.inverse_depth)

    @cached_property
    def novel(self) -> Cameras:
        """The path of `novel_view.mp4`."""
        return novel(self.cameras, self.depth, min(max(48, 2 * len(self.clip)), 240))

    @property
    def notes(self) -> tuple[str, ...]:
        return self.scene.camera.notes[0] if self.scene.camera.notes else ()


def reconstruct_video(
    source: Path,
    out: Path,
    weights: Path | None = None,
    stride: int = 1,
    frames: int | None = None,
    focal: float | None = None,
    refine: int = DEFAULT_REFINE_STEPS,
    device: str = "auto",
    overwrite: bool = False,
    decoder: str = "auto",
    export: Sequence[str] = ("all",),
) -> Path:
    """Takes every `stride`-th frame of a video or a folder of images, of those the first `frames`, and writes `out`.

    weights: a RUN folder or file of `video-ae train`; None: the package's own. focal: known fx / width. refine: steps
    of test-time refinement, 0 for feed-forward only. export: names of `applications.exports.EXPORTS`, `all` that the
    model has something for, or `none`. Files: cameras.json, reconstruction.mp4, novel_view.mp4, overview.png,
    summary.json, scene/ for `render_path` and `export_reconstruction`, and the exports (docs/exports.md).

    The folder appears when it is complete. Raises UserError for bad input, an output folder that is in the way (an
    earlier result is replaced with `overwrite`) or cannot be written, and weights that do not load.
    """
    chosen_exports(export)
    with output_folder(out, overwrite) as folder, Stages() as stages:
        taken = take_video(source, weights, stride, frames, focal, refine, device, decoder, stages)
        write_results(folder, taken, export, stages)
    return Path(out)


def take_video(
    source: Path,
    weights: Path | None,
    stride: int,
    frames: int | None,
    focal: float | None,
    refine: int,
    device: str,
    decoder: str,
    progress: Progress,
) -> TakenVideo:
    """The first half of `reconstruct_video`, whose arguments these are: everything but the files."""
    check_numbers(stride, frames, focal, refine)
    reader = open_source(source, stride, frames, decoder)
    place = choose_device(device)
    model, module = load_scene_model(weights, place)
    progress("reading the video", 0.0)
    clip = read_source(reader, stride, frames)
    progress("reading the video", 1.0)
    scene = model.reconstruct(clip.to(place), focal, refine, progress)
    settings = {
        "source": str(source),
        "weights": None if weights is None else str(weights),
        "stride": stride,
        "frames": frames,
        "focal": focal,
        "refine": refine,
        "device": device,
        "decoder": decoder,
    }
    return TakenVideo(reader, clip, model, module, scene, settings)


def write_results(folder: Path, taken: TakenVideo, export: Sequence[str], stages: Stages) -> None:
    """The second half of `reconstruct_video`: all files, into a folder that is there and empty."""
    names = possible_exports(taken.scene) if "all" in export else chosen_exports(export)
    write_track_json(folder / "cameras.json", taken.track)
    shown = shown_frames(taken)
    pictures, rendered = _render_input(folder / INPUT_VIDEO, taken, shown, stages)
    report = lambda done: stages("rendering new views", done)  # noqa: E731
    report(0)
    # Colours from the frames as the model got them: of that size is the video too, and they are in memory anyway.
    views = ImageBasedRenderer(taken.model, taken.scene, taken.clip.frames.__getitem__, taken.clip.image_size, rendered)
    write_video(folder / "novel_view.mp4", views.pictures(taken.novel, progress=report), NOVEL_RATE)
    stages("writing", 0)
    exports = ExportJob(taken.model, taken.scene, taken.track, taken.clip.image_size, lambda: taken.reader, rendered)
    write_overview(folder / "overview.png", findings_of(taken, shown, pictures, rendered[shown], exports.cloud))
    stages("exports", 0)
    write_exports(folder, names, exports)
    stages("exports", 1)
    _write_scene(folder / SCENE_FOLDER, taken.scene, taken.module, taken.reader.image_size)
    stages("writing", 1)
    stages.flush_timer()
    settings = taken.settings | {"export": list(names)}
    summary = _summary(taken, settings, len(exports.cloud), stages.seconds)
    text = json.dumps(summary, indent=1, allow_nan=False)
    write_atomically(folder / MARK, lambda temporary: temporary.write_text(text))


def shown_frames(taken: TakenVideo) -> list[int]:
    """The frames that stand in the overview."""
    return sorted({round(i) for i in torch.linspace(0, len(taken.clip) - 1, SHOWN).tolist()})


def findings_of(
    taken: TakenVideo, shown: list[int], pictures: torch.Tensor, inverse_depth: torch.Tensor, cloud: PointCloud
) -> Findings:
    """What the overview shows, from renderings (bytes) and 1 / z (NaN: not known) of the frames `shown`."""
    return Findings(
        name=taken.clip.name,
        track=taken.track,
        shown=shown,
        inputs=to_bytes(taken.clip.frames[shown]),
        renderings=pictures,
        disparity=inverse_depth.nan_to_num(0.0),
        cloud=cloud,
        novel=taken.novel.world_from_camera,
        notes=taken.notes,
        depth=taken.depth,
    )


def _render_input(path: Path, taken: TakenVideo, shown: list[int], stages: Stages) -> tuple[torch.Tensor, torch.Tensor]:
    """Writes input beside rendering; returns renderings (bytes) of the frames `shown` and 1 / z of all frames."""
    stage = "rendering the input path"
    stages(stage, 0)
    pairs, pictures, inverse_depth = [], [], []
    size, clip = taken.clip.image_size, taken.clip
    for start, views in render_chunks(taken.model, taken.scene, taken.cameras, size, lambda done: stages(stage, done)):
        rendered = to_bytes(views.frames[0])
        pairs.append(torch.cat([to_bytes(clip.frames[start : start + len(rendered)]), rendered], -1))
        inverse_depth.append(known_inverse_depth(views.disparity[0], views.opacity[0]))
        pictures += [rendered[frame - start] for frame in shown if start <= frame < start + len(rendered)]
    write_video(path, torch.cat(pairs), frame_rate(clip.times))
    return torch.stack(pictures), torch.cat(inverse_depth)


def _write_scene(folder: Path, scene: Scene, model: Autoencoder, source_size: tuple[int, int]) -> None:
    folder.mkdir()
    save_scene(folder, scene, source_size)
    save_weights(model, folder / WEIGHTS_FILE)


def _summary(taken: TakenVideo, settings: dict[str, Any], points: int, seconds: dict[str, float]) -> dict[str, Any]:
    confidence = taken.track.confidence
    return {
        "command": sys.argv,
        "versions": {
            "video_ae": video_ae.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "model": f"{type(taken.model).__module__}.{type(taken.model).__qualname__}",
        "settings": settings,
        "frames": len(taken.track.cameras),
        "image_size": list(taken.track.image_size),
        "working_size": list(taken.clip.image_size),
        "focal_over_width": taken.track.cameras.intrinsics[0, 0].item(),
        "confidence": {"mean": confidence.mean().item(), "least": confidence.min().item()},
        "scene_depth": taken.depth,
        "keyframes": [int(taken.track.indices[i]) for i in taken.scene.keyframes],
        "points": points,
        "notes": list(taken.notes),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
