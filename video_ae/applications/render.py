"""Views of an earlier reconstruction along a path, without its video."""

from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from video_ae.applications.reading import SHORTER_SIDE
from video_ae.applications.reconstruct import NOVEL_RATE, SCENE_FOLDER, WEIGHTS_FILE
from video_ae.applications.scene_io import frame_rate, load_scene, move
from video_ae.applications.views import even_size, load_scene_model, render_pictures
from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.geometry.trajectories import PATHS, scene_depth
from video_ae.types import Cameras, Scene
from video_ae.videos.writer import write_video

DEFAULT_FRAMES = 96  # of a new path: four seconds


def render_path(
    directory: Path,
    path: str = "input",
    out: Path = Path("render.mp4"),
    size: int | None = None,
    frames: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
) -> Path:
    """Writes an mp4 of the reconstruction in `directory` (made by `reconstruct_video`), seen along a path.

    path: `input` (the found cameras), or `orbit`, `spiral`, `dolly` about what the middle keyframe looks at.
    size: shorter side of the picture in pixels, at most the source's; frames: length of the path.
    Raises UserError for an unknown path, a folder that holds no reconstruction or a damaged one, and an `out` that is
    in the way or cannot be written.
    """
    out = _checked(out, path, size, frames, overwrite)
    saved = load_scene(Path(directory) / SCENE_FOLDER)
    place = choose_device(device)
    model, _ = load_scene_model(Path(directory) / SCENE_FOLDER / WEIGHTS_FILE, place)
    scene = move(saved.scene, place)
    cameras, rate = path_cameras(saved.scene, path, frames)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"rendering {path}", total=1.0)
        pictures = render_pictures(
            model,
            scene,
            cameras,
            even_size(saved.source_size, size or SHORTER_SIDE),
            lambda done: progress.update(task, completed=done),
        )
    write_video(out, pictures, rate)
    return out


def _checked(out: Path, path: str, size: int | None, frames: int | None, overwrite: bool) -> Path:
    if path not in PATHS:
        raise UserError(f"There is no path {path!r}: choose one of {', '.join(PATHS)}.")
    if size is not None and size < 16:
        raise UserError(f"A size of {size} pixels is not possible: give 16 or more.")
    if frames is not None and frames < 2:
        raise UserError(f"A path of {frames} frames is not possible: give 2 or more.")
    out = Path(out)
    if out.suffix.lower() != ".mp4":
        raise UserError(f"{str(out)!r} does not end in .mp4: give a name such as {out.stem or 'render'}.mp4.")
    if out.is_dir() or (out.exists() and not overwrite):
        raise UserError(f"{str(out)!r} exists: choose another name or add --overwrite.")
    return out


def path_cameras(scene: Scene, path: str, frames: int | None) -> tuple[Cameras, float]:
    """The cameras of a path (a name of `PATHS`; float64, CPU, no batch axis) and its frames a second."""
    found = scene.camera.cameras
    cameras = Cameras(found.world_from_camera[0], found.intrinsics[0]).to("cpu", torch.float64)
    if path == "input":
        return PATHS[path](cameras, 1.0, frames, 0), frame_rate(scene.clip.times)
    reference = scene.keyframes[len(scene.keyframes) // 2]
    depth = scene_depth(scene.camera.inverse_depth[0, reference])
    return PATHS[path](cameras, depth, frames or DEFAULT_FRAMES, reference), NOVEL_RATE
