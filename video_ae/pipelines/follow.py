"""One scene, or a single image, seen along a new path: that of another video, or an orbit, spiral or dolly."""

from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.covisibility import inside_others
from video_ae.geometry.se3 import invert, rigid, so3_exp, so3_log
from video_ae.geometry.trajectories import PATHS, spread_frames
from video_ae.models.base import DEFAULT_REFINE_STEPS
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.inputs import Settings, checked_out, is_image, need_parallax
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.novel_path import NOVEL_RATE
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.renderable_video import PATH_FRAMES
from video_ae.scene.source_frames import view_distances
from video_ae.types import Cameras

FOLLOW = "follow:"
FAR = 0.06  # image widths that far and near surfaces move from any frame: beyond it, wrong depths are plain to see
UNSEEN = 0.1  # of an image that lies inside no frame
_SCALES = (1e-3, 1e3)
_PARTS = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)  # of a path that is kept, where a whole one goes too far
_GRID = (12, 16)  # rows and columns of the points of a view that are looked for in the frames
_TESTED = 8  # frames where a path may start, and views of it that are looked at


@dataclass(frozen=True)
class FollowReport:
    """What a path through a scene showed.

    Args:
        part: of the path that was taken, its rotations included (1: all of it).
        start: frame of the scene's source at which it starts.
        seen: mean part of the images that would lie inside some frame if all were at the typical depth; the rest is
            filled in.
        farthest: how far surfaces move, in image widths, from the nearest frame of the source to the farthest view
            (`viewpoint_distance`): beyond about 0.06, wrong depths begin to show.
        sound: whether there is the motion's.
    """

    part: float
    start: int
    seen: float
    farthest: float
    sound: bool


def follow_motion(
    motion: Path, scene: Path, out: Path, scale: float | None = None, settings: Settings = Settings()
) -> FollowReport:
    """Writes a scene as a camera would see it that moves like the one of a video.

    The path starts at that frame of the scene from which it stays nearest to what has been seen (a single image: at the
    image). The result has the image size and focal length of the scene, and the frame rate, length and sound of the
    motion.

    Args:
        motion: the video whose camera path is taken.
        scene: what is shown: a video, a folder of images, or a single image.
        out: the .mp4 that is written.
        scale: length of the path in typical depths of the scene, relative to what it was in those of its own video.
            None takes 1, or less where the path would go more than `FAR` away from all frames or see more than
            `UNSEEN` that none has seen: lengths and rotations are then scaled in one proportion (`scaled_motion`), so
            that what the camera circled stays in its middle.
        settings: see `Settings`.

    Raises:
        UserError: the scale makes no sense, an input cannot be read, the motion has no parallax, or the result is in
            the way.
    """
    if scale is not None and not _SCALES[0] <= scale <= _SCALES[1]:
        raise UserError(f"The scale {scale} is out of range: give a number above 0, such as 0.5 (0.001 to 1000).")
    out = checked_out(out, settings.overwrite, read=[Path(motion), Path(scene)])
    settings.check_readable(scene)
    model = settings.load_model()
    with Stages() as stages:
        leading = replace(settings, focal=None).reconstruct(motion, model, stages)
        need_parallax(leading)
        shown = settings.reconstruct_scene(scene, model, stages)
        pose = leading.cameras.world_from_camera.clone()
        pose[:, :3, 3] *= (scale or 1.0) * shown.scene_depth / leading.scene_depth
        whole = Cameras(pose, leading.cameras.intrinsics)
        part = 1.0 if scale is not None else part_in_reach(shown, whole)
        steps = scaled_motion(whole, part)
        start, seen = _best_start(shown, steps)
        path = _path_from(shown, start, steps)
        sound = render_along(out, shown, path, leading.shown_times, Path(motion), settings, stages)
    farthest = nearest_view_distance(shown, path).max().item()
    return FollowReport(part, int(shown.scene.clip.indices[start]), round(seen, 4), round(farthest, 4), sound)


def animate_image(image: Path, out: Path, path: str = "spiral", settings: Settings = Settings()) -> FollowReport:
    """Writes a single image moved in 3D for four seconds, or as long as a video that it follows.

    Its depth is a guess (`video_ae.scene.single_image`).

    Args:
        image: its path.
        out: the .mp4 that is written.
        path: `spiral`, `dolly` or `orbit`, or `follow:A.mp4`, the camera path of a video.
        settings: of which `frames` is the length of the path, or of the followed video; `stride` and `refine` are those
            of that video.

    Raises:
        UserError: it is no image, the path is unknown, a setting is one of a video's alone, or as `follow_motion`.
    """
    if not is_image(image):
        raise UserError(f"{str(image)!r} is no image (jpg, png, webp, bmp or tif): `video-ae render` moves videos.")
    if path.startswith(FOLLOW):
        return follow_motion(Path(path.removeprefix(FOLLOW)), image, out, settings=settings)
    paths = tuple(name for name in PATHS if name != "input")
    if path not in paths:
        raise UserError(f"There is no path {path!r}: choose one of {', '.join(paths)} or follow:VIDEO.")
    if settings.stride != 1 or settings.refine not in (0, DEFAULT_REFINE_STEPS):
        raise UserError(
            "An image has no frames to choose from and no cameras to refine: give a stride or rounds of refinement "
            "with the path of a video (follow:VIDEO) alone."
        )
    out = checked_out(out, settings.overwrite)
    model = settings.load_model()
    with Stages() as stages:
        shown = settings.reconstruct_scene(image, model, stages)
        cameras = PATHS[path](shown.path("input"), shown.scene_depth, settings.frames or PATH_FRAMES, 0)
        times = torch.arange(len(cameras), dtype=torch.float64) / NOVEL_RATE
        render_along(out, shown, cameras, times, None, settings, stages)
    seen = seen_parts(shown, cameras.select(spread_frames(len(cameras), _TESTED))).mean().item()
    farthest = nearest_view_distance(shown, cameras).max().item()
    return FollowReport(1.0, 0, round(seen, 4), round(farthest, 4), False)


def render_along(
    out: Path,
    shown: Reconstruction,
    path: Cameras,
    times: Float64[Tensor, "view"],
    sound: Path | None,
    settings: Settings,
    stages: Stages,
) -> bool:
    """Writes a scene seen along a path, in the colours of its frames; returns whether there is sound.

    Args:
        out: the .mp4 that is written.
        shown: the scene.
        path: cameras of the views, in the scene's world.
        times: seconds from the first view at which each is shown.
        sound: the video whose sound is added.
        settings: of which the size counts.
        stages: called with what is being done.
    """
    renderer = ImageBasedRenderer.of(shown, settings.size)
    images = renderer.images(path, progress=lambda done: stages("rendering", done))
    return write_video_with_sound(out, images, times, sound)


def scaled_motion(path: Cameras, part: float) -> Cameras:
    """A path of which each step, from one camera to the next, is only a part as long and rotates only a part as far.

    Args:
        path: that is made smaller.
        part: of each step.
    """
    pose = path.world_from_camera
    step = invert(pose[:-1]) @ pose[1:]
    step = rigid(so3_exp(part * so3_log(step[:, :3, :3])), part * step[:, :3, 3])
    return Cameras(torch.stack(list(accumulate(step, torch.matmul, initial=pose[0]))), path.intrinsics)


def part_in_reach(shown: Reconstruction, steps: Cameras) -> float:
    """The largest part of a path that, from some start, stays near the frames and what they saw; the least if none.

    Args:
        shown: the scene.
        steps: the path in the axes of its first camera.
    """
    for part in _PARTS:
        paths = _tested_paths(shown, scaled_motion(steps, part)).values()
        if any(
            nearest_view_distance(shown, path).max() <= FAR and seen_parts(shown, path).min() >= 1 - UNSEEN
            for path in paths
        ):
            break
    return part


def seen_parts(shown: Reconstruction, path: Cameras) -> Float[Tensor, "view"]:
    """Part of each view that would lie inside some frame of the scene's source if all were at the typical depth (of the
    frame nearest to the view).

    Args:
        shown: the scene.
        path: cameras of the views, in the scene's world.
    """
    depth, frames, path = shown.scene_depth, shown.path("input"), path.to("cpu", torch.float64)
    seen = []
    for number, frame in enumerate(view_distances(shown.scene, path).argmin(1).tolist()):
        view_from_frame = invert(path.world_from_camera[number]) @ frames.world_from_camera[frame]
        ahead = view_from_frame[2, 2] * depth + view_from_frame[2, 3]
        plane = (1 / ahead.clamp_min(0.1 * depth)).expand(_GRID)
        seen.append(inside_others(path.select([number]), plane, frames).amax(0).mean())
    return torch.stack(seen)


def nearest_view_distance(shown: Reconstruction, path: Cameras) -> Float[Tensor, "view"]:
    """Image widths that surfaces move from the nearest frame of the scene's source to each view.

    Args:
        shown: the scene.
        path: cameras of the views, in the scene's world.
    """
    return view_distances(shown.scene, path).amin(1)


def _path_from(shown: Reconstruction, start: int, steps: Cameras) -> Cameras:
    """The path from a frame of the scene on, with the scene's focal length."""
    found = shown.path("input").select([start])
    intrinsics = found.intrinsics.expand(len(steps), 4)
    return Cameras(found.world_from_camera @ steps.world_from_camera, intrinsics)


def _tested_paths(shown: Reconstruction, steps: Cameras) -> dict[int, Cameras]:
    """A few views of the path from each frame where it may start, by the frame's position."""
    some = steps.select(spread_frames(len(steps), _TESTED))
    return {frame: _path_from(shown, frame, some) for frame in spread_frames(len(shown), _TESTED)}


def _best_start(shown: Reconstruction, steps: Cameras) -> tuple[int, float]:
    """(position of the frame from which the path stays nearest to what has been seen, seen part of its images)."""
    paths = _tested_paths(shown, steps)
    seen = {frame: seen_parts(shown, path).mean().item() for frame, path in paths.items()}
    best = max(paths, key=lambda frame: seen[frame] - nearest_view_distance(shown, paths[frame]).max().item())
    return best, seen[best]
