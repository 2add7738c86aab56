"""A steadier video: the same scene seen from a smoothed or locked camera, rendered through the structure."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.formats.atomic import write_json_atomically
from video_ae.geometry.covisibility import view_displacement
from video_ae.geometry.se3 import invert, se3_exp, se3_log, so3_log
from video_ae.geometry.trajectories import smooth
from video_ae.pipelines.audio import write_video_with_sound
from video_ae.pipelines.inputs import Settings, checked_out, need_motion
from video_ae.progress import Stages
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.types import Cameras

DEFAULT_SECONDS = 0.5
REPORT = ".json"  # suffix of the report beside the video
ZOOMS = (1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.2, 1.25)
UNSEEN = 0.002  # of an image that may stay unseen by every code; a larger part is zoomed away
BORDERS = "filled from other frames' codes; what none of them saw is continued smoothly"


@dataclass(frozen=True)
class Stability:
    """How steady a camera is, as root mean squares.

    Args:
        angular_acceleration: in degrees / s^2.
        translational_acceleration: in typical depths of the scene / s^2.
    """

    angular_acceleration: float
    translational_acceleration: float


@dataclass(frozen=True)
class StabilizeReport:
    """What `stabilize_video` did.

    Args:
        before, after: how steady the camera was and is.
        smooth_seconds: spread of the Gaussian over the poses; None where the camera was locked.
        zoom: of the new camera's focal length, chosen so that little stays unseen.
        unseen: largest part of an image that no code had seen, after the zoom.
        borders: what is shown there.
        sound: whether the result has the source's.
        notes: sentences about what could not be determined.
    """

    before: Stability
    after: Stability
    smooth_seconds: float | None
    zoom: float
    unseen: float
    borders: str
    sound: bool
    notes: tuple[str, ...]


def stabilize_video(
    source: Path, out: Path, smooth_seconds: float | None = None, lock: bool = False, settings: Settings = Settings()
) -> StabilizeReport:
    """Writes a video as a steadier camera would have seen it, and the report beside it, as JSON.

    Colours come from each moment's own frame where it sees what the structure shows, so that what happens in the video
    is kept; borders come from the codes of other frames, and a zoom (at most 1.25) hides what none has seen.

    Args:
        source: a video or a folder of images.
        out: the .mp4 that is written; the report has the same name with .json.
        smooth_seconds: spread of the Gaussian over the poses, by default 0.5.
        lock: one camera for the whole video instead, that of the frame from which the others are least far.
        settings: see `Settings`.

    Raises:
        UserError: the seconds make no sense, the source cannot be read, its camera stands still, or the result is in
            the way.
    """
    if smooth_seconds is not None and (lock or not 0 < smooth_seconds <= 60):
        raise UserError("Give either a locked camera or smoothing over a number of seconds above 0 (at most 60).")
    out = checked_out(out, settings.overwrite, REPORT, read=[Path(source)])
    model = settings.load_model()
    with Stages() as stages:
        video = settings.reconstruct(source, model, stages)
        need_motion(video)
        seconds = None if lock else smooth_seconds or DEFAULT_SECONDS
        found, times = video.path("input"), video.shown_times
        steady = locked_trajectory(video) if seconds is None else smoothed_trajectory(found, times, seconds)
        renderer = ImageBasedRenderer.of(video, settings.size)
        stages("looking at the borders", 0)
        zoom, unseen = choose_zoom(renderer.coverage(steady))
        stages("looking at the borders", 1)
        own = [{position: 1.0} for position in range(len(steady))]
        images = renderer.images(zoomed(steady, zoom), own, lambda done: stages("rendering the steady view", done))
        sound = write_video_with_sound(out, images, times, Path(source))
    before, after = (stability(path, times, video.scene_depth) for path in (found, steady))
    report = StabilizeReport(before, after, seconds, zoom, unseen, BORDERS, sound, video.notes)
    write_json_atomically(out.with_suffix(REPORT), asdict(report))
    return report


def stability(cameras: Cameras, times: Float[Tensor, "frame"], depth: float) -> Stability:
    """Accelerations of a camera path by second differences; 0 for paths of fewer than three frames.

    Args:
        cameras: of the path.
        times: in seconds, ascending.
        depth: a typical depth of the scene.

    >>> pose = torch.eye(4).double().repeat(4, 1, 1)
    >>> pose[:, 0, 3] = torch.tensor([0.0, 1.0, 4.0, 9.0])  # two more units in each frame
    >>> stability(Cameras(pose, torch.ones(4, 4)), torch.arange(4).double() / 10, 2.0)
    Stability(angular_acceleration=0.0, translational_acceleration=100.0)
    """
    if len(cameras) < 3:
        return Stability(0.0, 0.0)
    pose = cameras.world_from_camera
    steps = times.diff().to(pose)[:, None]
    speeds = so3_log(pose[:-1, :3, :3].mT @ pose[1:, :3, :3]) / steps, pose[:, :3, 3].diff(dim=0) / steps / depth
    between = (steps[1:] + steps[:-1]) / 2
    squares = [(speed.diff(dim=0) / between).square().sum(-1).mean().sqrt().item() for speed in speeds]
    return Stability(round(math.degrees(squares[0]), 6), round(squares[1], 6))


def smoothed_trajectory(cameras: Cameras, times: Float[Tensor, "frame"], sigma: float) -> Cameras:
    """The path smoothed by a Gaussian, its ends included.

    Beyond both ends it is continued by its own mirror image through the end poses, so that the window is whole
    everywhere, the ends stay, and a motion at constant speed is not changed.

    Args:
        cameras: of the path.
        times: in seconds, ascending.
        sigma: standard deviation in seconds.
    """
    pose = cameras.world_from_camera
    at_ends = (times - times[0] <= 3 * sigma).sum(), (times[-1] - times <= 3 * sigma).sum()
    reach = min(int(max(at_ends)), len(cameras) - 1)
    before = _mirrored(pose[0], pose[1 : reach + 1].flip(0))
    after = _mirrored(pose[-1], pose[-reach - 1 : -1].flip(0))
    extended = Cameras(torch.cat([before, pose, after]), cameras.intrinsics[:1].expand(len(pose) + 2 * reach, 4))
    earlier, later = 2 * times[0] - times[1 : reach + 1].flip(0), 2 * times[-1] - times[-reach - 1 : -1].flip(0)
    moments = torch.cat([earlier, times, later])
    smoothed = smooth(extended, sigma, moments).world_from_camera[reach : reach + len(pose)]
    return Cameras(smoothed, cameras.intrinsics)


def _mirrored(end: Float[Tensor, "4 4"], poses: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    """The poses on the other side of an end, as far from it."""
    return end @ se3_exp(-se3_log(invert(end) @ poses))


def locked_trajectory(video: Reconstruction) -> Cameras:
    """One frame's camera for all: that from which the others' images have moved least, on average.

    Args:
        video: reconstructed.
    """
    cameras = video.path("input").to(torch.float32)
    typical = video.scene.camera.median_inverse_depth.cpu()
    middle = int(view_displacement(cameras, typical, cameras).mean(1).argmin())
    return video.path("input").select([middle] * len(cameras))


def zoomed(cameras: Cameras, zoom: float) -> Cameras:
    """The same cameras with a longer focal length.

    Args:
        cameras: any.
        zoom: by which the focal length is multiplied.
    """
    factors = torch.tensor([zoom, zoom, 1.0, 1.0], dtype=cameras.intrinsics.dtype)
    return Cameras(cameras.world_from_camera, cameras.intrinsics * factors)


def choose_zoom(seen: Float[Tensor, "view height width"]) -> tuple[float, float]:
    """The least zoom about the centre after which at most `UNSEEN` of every image is unseen, and that part.

    Args:
        seen: opacity of views at zoom 1.

    Returns:
        The largest zoom where none is enough.
    """
    height, width = seen.shape[-2:]
    missing = (seen < 0.5).float()
    for zoom in ZOOMS:
        top, left = (int(side * (1 - 1 / zoom) / 2) for side in (height, width))
        part = missing[:, top : height - top, left : width - left].mean((1, 2)).max().item()
        if part <= UNSEEN:
            break
    return zoom, round(part, 4)


def describe(before: Stability, after: Stability) -> str:
    """One line for people.

    Args:
        before, after: how steady the camera was and is.
    """
    return (
        f"angular acceleration {before.angular_acceleration:.1f} -> {after.angular_acceleration:.1f} degrees/s^2, "
        f"translational {before.translational_acceleration:.2f} -> {after.translational_acceleration:.2f} "
        "scene depths/s^2 (RMS)"
    )
