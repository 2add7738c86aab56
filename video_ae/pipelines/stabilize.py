"""A calmer video: the same place seen from a smoothed or locked camera, rendered through the structure."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.device import choose_device
from video_ae.errors import UserError
from video_ae.formats.atomic import write_atomically
from video_ae.geometry.covisibility import view_displacement
from video_ae.geometry.se3 import invert, se3_exp, se3_log, so3_log
from video_ae.geometry.trajectories import scene_depth, smooth
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.interpolate import frame_reader
from video_ae.pipelines.take_apart import Settings, TakenApart, checked_out, need_motion, take_apart
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.rendering import load_scene_model
from video_ae.types import Cameras

DEFAULT_SECONDS = 0.5
ZOOMS = (1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.2, 1.25)
UNSEEN = 0.002  # of a picture that may stay unseen by every code; a larger part is zoomed away


@dataclass(frozen=True)
class Stability:
    """How calm a camera is, as root mean squares: degrees / s^2, and typical scene depths / s^2."""

    angular_acceleration: float
    translational_acceleration: float


@dataclass(frozen=True)
class StabilizeReport:
    """What `stabilize_video` did. smooth_seconds: None where the camera was locked. zoom: of the new camera's focal
    length, chosen so that little stays unseen. unseen: largest part of a picture that no code had seen, after zoom."""

    before: Stability
    after: Stability
    smooth_seconds: float | None
    zoom: float
    unseen: float
    borders: str
    sound: bool
    notes: tuple[str, ...]


def stabilize_video(
    source: Path, out: Path, smooth_seconds: float | None = None, lock: bool = False, settings: Settings | None = None
) -> StabilizeReport:
    """Writes the video as a calmer camera would have seen it, and the report beside it (`OUT.json`).

    smooth_seconds: spread of the Gaussian over the poses (default: 0.5). lock: one camera for the whole video, that of
    the frame from which the others are least far. Colours come from each moment's own frame where it sees what the
    structure shows, so that what happens in the video is kept; borders come from the codes of other frames, and a zoom
    (at most 1.25) hides what none has seen. Raises UserError for bad settings and sources, a camera that stands still,
    and a result that is in the way.
    """
    settings = settings or Settings()
    if smooth_seconds is not None and (lock or not 0 < smooth_seconds <= 60):
        raise UserError("Give either --lock or --smooth with a number of seconds above 0 (at most 60).")
    out = checked_out(out, settings.overwrite)
    place = choose_device(settings.device)
    model, _ = load_scene_model(settings.weights, place)
    with Stages() as stages:
        taken = take_apart(source, model, settings, place, stages)
        need_motion(taken)
        seconds = None if lock else smooth_seconds or DEFAULT_SECONDS
        calm = locked(taken) if seconds is None else calmed(taken.cameras, seconds * taken.rate)
        size = taken.output_size(settings.size)
        views = ImageBasedRenderer(model, taken.scene, frame_reader(taken, size), size)
        stages("looking at the borders", 0)
        zoom, unseen = choose_zoom(views.coverage(calm))
        stages("looking at the borders", 1)
        stage = "rendering the calm view"
        stages(stage, 0)
        sources = [{position: 1.0} for position in range(len(calm))]
        pictures = views.pictures(zoomed(calm, zoom), sources, lambda done: stages(stage, done))
        heard = write_video_with_sound(out, pictures, taken.rate, Path(source))
    report = _report(taken, calm, seconds, zoom, unseen, heard)
    text = json.dumps(asdict(report), indent=1, allow_nan=False)
    write_atomically(out.with_suffix(".json"), lambda temporary: temporary.write_text(text))
    return report


def _report(
    taken: TakenApart, calm: Cameras, seconds: float | None, zoom: float, unseen: float, heard: bool
) -> StabilizeReport:
    depth = scene_depth(taken.scene.camera.inverse_depth)
    return StabilizeReport(
        stability(taken.cameras, taken.rate, depth),
        stability(calm, taken.rate, depth),
        seconds,
        zoom,
        unseen,
        "filled from other frames' codes; what none of them saw is continued smoothly",
        heard,
        taken.notes,
    )


def stability(cameras: Cameras, rate: float, depth: float) -> Stability:
    """Accelerations of a camera path by second differences; 0 for paths of fewer than three frames.

    >>> pose = torch.eye(4).repeat(4, 1, 1)
    >>> pose[:, 0, 3] = torch.tensor([0.0, 1.0, 4.0, 9.0])  # two more units in each frame
    >>> stability(Cameras(pose, torch.ones(4, 4)), 10.0, 2.0)
    Stability(angular_acceleration=0.0, translational_acceleration=100.0)
    """
    if len(cameras) < 3:
        return Stability(0.0, 0.0)
    pose = cameras.world_from_camera
    turn = so3_log(pose[:-1, :3, :3].mT @ pose[1:, :3, :3]).diff(dim=0) * rate**2
    shift = pose[:, :3, 3].diff(n=2, dim=0) * rate**2 / depth
    squares = [part.square().sum(-1).mean().sqrt().item() for part in (turn, shift)]
    return Stability(round(math.degrees(squares[0]), 6), round(squares[1], 6))


def calmed(cameras: Cameras, sigma: float) -> Cameras:
    """The path smoothed by a Gaussian (`sigma` in frames), its ends included.

    Beyond both ends it is continued by its own mirror image through the end poses, so that the window is whole
    everywhere, the ends stay, and a motion at constant speed is not changed.
    """
    reach = min(math.ceil(3 * sigma), len(cameras) - 1)
    pose = cameras.world_from_camera
    last = len(pose) - 1
    before = _mirrored(pose[0], pose[[reach - i for i in range(reach)]])
    after = _mirrored(pose[last], pose[[last - 1 - i for i in range(reach)]])
    extended = Cameras(torch.cat([before, pose, after]), cameras.intrinsics[:1].expand(len(pose) + 2 * reach, 4))
    return Cameras(smooth(extended, sigma).world_from_camera[reach : reach + len(pose)], cameras.intrinsics)


def _mirrored(end: Float[Tensor, "4 4"], poses: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    """The poses on the other side of an end, as far from it."""
    return end @ se3_exp(-se3_log(invert(end) @ poses))


def locked(taken: TakenApart) -> Cameras:
    """One frame's camera for all: that from which the others' pictures have moved least, on average."""
    cameras = taken.cameras.to(torch.float32)
    typical = taken.scene.camera.inverse_depth[0].cpu().flatten(1).median(1).values
    middle = int(view_displacement(cameras, typical, cameras).mean(1).argmin())
    return taken.cameras.select([middle] * len(cameras))


def zoomed(cameras: Cameras, zoom: float) -> Cameras:
    """The same cameras with a longer focal length."""
    factors = torch.tensor([zoom, zoom, 1.0, 1.0], dtype=cameras.intrinsics.dtype)
    return Cameras(cameras.world_from_camera, cameras.intrinsics * factors)


def choose_zoom(seen: Float[Tensor, "view height width"]) -> tuple[float, float]:
    """(the least zoom about the centre after which at most `UNSEEN` of every picture is unseen, that part).

    seen: opacity of views at zoom 1. The largest zoom is taken where none is enough.
    """
    height, width = seen.shape[-2:]
    missing = (seen < 0.5).float()
    part = 0.0
    for zoom in ZOOMS:
        top, left = (int(side * (1 - 1 / zoom) / 2) for side in (height, width))
        part = missing[:, top : height - top, left : width - left].mean((1, 2)).max().item()
        if part <= UNSEEN:
            break
    return zoom, round(part, 4)


def describe(before: Stability, after: Stability) -> str:
    """One line for people."""
    return (
        f"angular acceleration {before.angular_acceleration:.1f} -> {after.angular_acceleration:.1f} degrees/s^2, "
        f"translational {before.translational_acceleration:.2f} -> {after.translational_acceleration:.2f} "
        "scene depths/s^2 (RMS)"
    )
