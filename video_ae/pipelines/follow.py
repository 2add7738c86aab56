"""One scene seen along the camera path of another video; and a picture that is moved along a path."""

from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.geometry.covisibility import inside_others
from video_ae.geometry.se3 import invert, rigid, so3_exp, so3_log
from video_ae.geometry.trajectories import PATHS, scene_depth, spread_frames
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.interpolate import frame_reader
from video_ae.pipelines.reconstruct import NOVEL_RATE
from video_ae.pipelines.take_apart import (
    Settings,
    TakenApart,
    checked_out,
    is_picture,
    need_parallax,
    take_apart,
)
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer, viewpoint_distances
from video_ae.scene.rendering import SceneModel, even_size, load_scene_model
from video_ae.scene.single_image import open_picture, picture_scene
from video_ae.types import Cameras
from video_ae.videos.load import read_clip

PICTURE_SIDE = 144  # shorter side, in pixels, of the layers of a single picture
PICTURE_FRAMES = 96  # of a path about a picture: four seconds
FOLLOW = "follow:"
_SCALES = (1e-3, 1e3)
FAR = 0.06  # picture widths that far and near surfaces move from any frame: beyond it, wrong depths are plain to see
UNSEEN = 0.1  # of a picture that lies inside no frame
_PARTS = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)  # of a path that is kept, where a whole one goes too far
_GRID = (12, 16)  # rows and columns of the points of a view that are looked for in the frames
_TESTED = 8  # places where a path may start, and views of it that are looked at


@dataclass(frozen=True)
class FollowReport:
    """What a path through a scene showed.

    part: of the path that was taken, its turns included (1: all of it). start: frame of the scene's source at which it
    starts. seen: mean part of the pictures that would lie inside some frame if all were at the typical depth; the rest
    is filled in. farthest: how far surfaces move, in picture widths, from the nearest frame of the source to the
    farthest view (`viewpoint_distance`): beyond about 0.06, wrong depths begin to show. sound: whether there is the
    motion's.
    """

    part: float
    start: int
    seen: float
    farthest: float
    sound: bool


def follow_motion(
    motion: Path, scene: Path, out: Path, scale: float | None = None, settings: Settings | None = None
) -> FollowReport:
    """Writes `scene` (a video or a picture) as a camera would see it that moves like the one of `motion`.

    Both are in their own arbitrary scale; at `scale` 1 the path is as long, in typical depths of the scene, as it was
    in those of its own. With None the path is that, or, where it would go more than `FAR` away from all frames or see
    more than `UNSEEN` that none has seen, a smaller one (`damped`): lengths and turns in one proportion, so that what
    it circled stays in its middle.

    The path starts at that frame of the scene from which it stays nearest to what has been seen (a picture: at the
    picture). The result has the picture size and focal length of the scene, and the frame rate, length and sound of the
    motion. Raises UserError for bad settings and sources, a motion without parallax, and a result in the way.
    """
    settings = settings or Settings()
    if scale is not None and not _SCALES[0] <= scale <= _SCALES[1]:
        raise UserError(f"The scale {scale} is not possible: give a number above 0, such as 0.5 (0.001 to 1000).")
    out = checked_out(out, settings.overwrite)
    place = choose_device(settings.device)
    model, _ = load_scene_model(settings.weights, place)
    with Stages() as stages:
        leading = take_apart(motion, model, replace(settings, focal=None), place, stages)
        need_parallax(leading)
        taken = open_scene(scene, model, settings, place, stages)
        views = _views(taken, model, settings)
        whole = relative_path(leading, (scale or 1.0) * _depth(taken) / _depth(leading))
        part = 1.0 if scale is not None else part_in_reach(taken, whole)
        steps = damped(whole, part)
        start, seen = _best_start(taken, steps)
        path = _from(taken, start, steps)
        farthest = _farness(taken, path).max().item()
        heard = _write(out, views, taken, path, leading.rate, Path(motion), stages)
    return FollowReport(part, int(taken.clip.indices[start]), round(seen, 4), round(farthest, 4), heard)


def animate_picture(picture: Path, out: Path, path: str = "spiral", settings: Settings | None = None) -> FollowReport:
    """Writes a picture moved in 3D: along a `spiral`, `dolly` or `orbit` of four seconds, or `follow:A.mp4`.

    `settings.frames` is the length of the path, or of the followed video. Its depth is a guess (`picture_scene`).
    Raises UserError as `follow_motion` does, and for an unknown path.
    """
    settings = settings or Settings()
    if not is_picture(picture):
        raise UserError(f"{str(picture)!r} is no picture (jpg, png, webp, bmp or tif): `video-ae render` moves videos.")
    if path.startswith(FOLLOW):
        return follow_motion(Path(path.removeprefix(FOLLOW)), picture, out, settings=settings)
    paths = tuple(name for name in PATHS if name != "input")
    if path not in paths:
        raise UserError(f"There is no path {path!r}: choose one of {', '.join(paths)} or follow:VIDEO.")
    out = checked_out(out, settings.overwrite)
    place = choose_device(settings.device)
    model, _ = load_scene_model(settings.weights, place)
    with Stages() as stages:
        taken = open_scene(picture, model, settings, place, stages)
        views = _views(taken, model, settings)
        cameras = PATHS[path](taken.cameras, _depth(taken), settings.frames or PICTURE_FRAMES, 0)
        seen = seen_parts(taken, cameras.select(_some(len(cameras)))).mean().item()
        farthest = _farness(taken, cameras).max().item()
        _write(out, views, taken, cameras, NOVEL_RATE, None, stages)
    return FollowReport(1.0, 0, round(seen, 4), round(farthest, 4), False)


def open_scene(source: Path, model: SceneModel, settings: Settings, place: torch.device, stages: Stages) -> TakenApart:
    """The scene of a video, a folder of pictures, or a single picture."""
    if not is_picture(source):
        return take_apart(source, model, settings, place, stages)
    reader = open_picture(source)
    stages("looking at the picture", 0)
    clip = read_clip(reader, [0], even_size(reader.image_size, PICTURE_SIDE))
    scene = picture_scene(model, clip, settings.focal, place)
    stages("looking at the picture", 1)
    return TakenApart(Path(source), reader, scene)


def relative_path(leading: TakenApart, scale: float) -> Cameras:
    """The camera path in the axes of its first camera, its lengths multiplied by `scale`."""
    pose = leading.cameras.world_from_camera
    moved = invert(pose[:1]) @ pose
    moved[:, :3, 3] *= scale
    return Cameras(moved, leading.cameras.intrinsics)


def damped(steps: Cameras, part: float) -> Cameras:
    """A path of which each step, from one camera to the next, is only `part` as long and turns only `part` as far."""
    pose = steps.world_from_camera
    step = invert(pose[:-1]) @ pose[1:]
    step = rigid(so3_exp(part * so3_log(step[:, :3, :3])), part * step[:, :3, 3])
    return Cameras(torch.stack(list(accumulate(step, torch.matmul, initial=pose[0]))), steps.intrinsics)


def part_in_reach(taken: TakenApart, steps: Cameras) -> float:
    """The largest part of a path that, from some start, stays near the frames and what they saw; the least if none."""
    some, frames = _some(len(steps)), _some(len(taken.clip))
    for part in _PARTS:
        paths = [_from(taken, frame, damped(steps, part).select(some)) for frame in frames]
        if any(_farness(taken, p).max() <= FAR and seen_parts(taken, p).min() >= 1 - UNSEEN for p in paths):
            break
    return part


def seen_parts(taken: TakenApart, path: Cameras) -> Float[Tensor, "view"]:
    """Part of each view that would lie inside some frame of the scene's source if all were at the typical depth (of the
    frame nearest to the view)."""
    depth, frames, path = _depth(taken), taken.cameras, path.to("cpu", torch.float64)
    seen = []
    for number, frame in enumerate(viewpoint_distances(taken.scene, path).argmin(1).tolist()):
        view_from_frame = invert(path.world_from_camera[number]) @ frames.world_from_camera[frame]
        ahead = view_from_frame[2, 2] * depth + view_from_frame[2, 3]
        plane = (1 / ahead.clamp_min(0.1 * depth)).expand(_GRID)
        seen.append(inside_others(path.select([number]), plane, frames).amax(0).mean())
    return torch.stack(seen)


def _views(taken: TakenApart, model: SceneModel, settings: Settings) -> ImageBasedRenderer:
    size = taken.output_size(settings.size)
    return ImageBasedRenderer(model, taken.scene, frame_reader(taken, size), size)


def _depth(taken: TakenApart) -> float:
    return scene_depth(taken.scene.camera.inverse_depth)


def _some(count: int) -> list[int]:
    return spread_frames(count, _TESTED)


def _from(taken: TakenApart, start: int, steps: Cameras) -> Cameras:
    """The path from a frame of the scene on, with the scene's focal length."""
    found = taken.cameras.select([start])
    intrinsics = found.intrinsics.expand(len(steps), 4)
    return Cameras(found.world_from_camera @ steps.world_from_camera, intrinsics)


def _best_start(taken: TakenApart, steps: Cameras) -> tuple[int, float]:
    """(position of the frame from which the path stays nearest to what has been seen, seen part of its pictures)."""
    some = steps.select(_some(len(steps)))
    frames = _some(len(taken.clip))
    paths = [_from(taken, frame, some) for frame in frames]
    seen = [seen_parts(taken, path).mean().item() for path in paths]
    worth = [part - _farness(taken, path).max().item() for part, path in zip(seen, paths, strict=True)]
    best = max(range(len(frames)), key=worth.__getitem__)
    return frames[best], seen[best]


def _farness(taken: TakenApart, path: Cameras) -> Float[Tensor, "view"]:
    """Picture widths that surfaces move from the nearest frame of the scene's source to each view."""
    return viewpoint_distances(taken.scene, path).amin(1)


def _write(
    out: Path,
    views: ImageBasedRenderer,
    taken: TakenApart,
    path: Cameras,
    rate: float,
    sound: Path | None,
    stages: Stages,
) -> bool:
    stage = "rendering"
    stages(stage, 0)
    pictures = views.pictures(path, progress=lambda done: stages(stage, done))
    return write_video_with_sound(out, pictures, rate, sound)
