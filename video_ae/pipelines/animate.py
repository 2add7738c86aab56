"""A single image moved in 3D along a path."""

from pathlib import Path

from video_ae.errors import UserError
from video_ae.geometry.trajectories import PATHS, spread_frames
from video_ae.pipelines.follow import FollowReport, follow_motion, nearest_view_distance, render_along, seen_parts
from video_ae.pipelines.inputs import Settings, checked_out, is_image, reconstruct_scene
from video_ae.progress import Stages
from video_ae.scene.reconstruction import PATH_FRAMES
from video_ae.scene.result_files import NOVEL_RATE

FOLLOW = "follow:"
_TESTED = 8  # views of a path that are looked at


def animate_image(image: Path, out: Path, path: str = "spiral", settings: Settings = Settings()) -> FollowReport:
    """Writes a single image moved in 3D for four seconds, or as long as a video that it follows.

    Its depth is a guess (`video_ae.scene.single_image`).

    Args:
        image: its path.
        out: the .mp4 that is written.
        path: `spiral`, `dolly` or `orbit`, or `follow:A.mp4`, the camera path of a video.
        settings: of which `frames` is the length of the path, or of the followed video.

    Raises:
        UserError: it is no image, the path is unknown, or as `follow_motion`.
    """
    if not is_image(image):
        raise UserError(f"{str(image)!r} is no image (jpg, png, webp, bmp or tif): `video-ae render` moves videos.")
    if path.startswith(FOLLOW):
        return follow_motion(Path(path.removeprefix(FOLLOW)), image, out, settings=settings)
    paths = tuple(name for name in PATHS if name != "input")
    if path not in paths:
        raise UserError(f"There is no path {path!r}: choose one of {', '.join(paths)} or follow:VIDEO.")
    out = checked_out(out, settings.overwrite)
    model = settings.load_model()
    with Stages() as stages:
        shown = reconstruct_scene(image, model, settings, stages)
        cameras = PATHS[path](shown.path("input"), shown.scene_depth, settings.frames or PATH_FRAMES, 0)
        render_along(out, shown, cameras, NOVEL_RATE, None, settings, stages)
    seen = seen_parts(shown, cameras.select(spread_frames(len(cameras), _TESTED))).mean().item()
    farthest = nearest_view_distance(shown, cameras).max().item()
    return FollowReport(1.0, 0, round(seen, 4), round(farthest, 4), False)
