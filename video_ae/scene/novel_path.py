"""The path of `novel_view.mp4`: it swings about the video's own path as far as the frames allow.

How far a camera may leave the path depends on what is near: past a door frame a step to the side shows what no frame
has seen, in a wide room it shows next to nothing new. So views along the path are looked at as `ImageBasedRenderer`
would make them, and where their source views do not confirm enough of them, the path swings less there. A camera that
hardly moved has seen next to no parallax: its frames agree about a depth that is mostly noise, and the path swings
little, too.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.trajectories import movement_radius, novel, spread_frames
from video_ae.scene.annotations import SolvedVideo
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.types import Cameras

NOVEL_RATE = 24.0  # frames a second of new paths
SHORTEST, LONGEST = 3.0, 10.0  # seconds, between which the path lasts as long as the video
SWINGS = (1.0, 0.5, 0.25)  # parts of the widest swing, of which the first is taken that is confirmed
CONFIRMED = 0.9  # of a view, that its source views have to confirm
BASELINES = 2.0  # times the extent of the video's path that is swung at most, since depth is no surer than its parallax
_SAMPLED = 24  # views that are looked at


def novel_path(video: SolvedVideo, inverse_depth: Float[Tensor, "frame rows columns"] | None = None) -> Cameras:
    """The cameras of `novel_view.mp4`, float64 on the CPU.

    Args:
        video: of which it shows new views; where its frames are gone, the swing is the widest one everywhere.
        inverse_depth: 1 / z seen by each frame (NaN where it is not known), where it has been rendered already.
    """
    seconds = min(max(video.shown_times[-1].item(), SHORTEST), LONGEST)
    count, found, depth = round(seconds * NOVEL_RATE), video.scene.cameras.to("cpu", torch.float64), video.scene_depth
    try:
        renderer = ImageBasedRenderer(video, video.need_frame_reader(), video.image_size, inverse_depth)
    except UserError:
        return novel(found, depth, count)
    sampled = spread_frames(count, _SAMPLED)
    swing = torch.full((len(sampled),), SWINGS[-1], dtype=torch.float64)
    asked = torch.arange(len(sampled))
    for part in SWINGS[:-1]:
        views = novel(found, depth, count, swing=part).select([sampled[i] for i in asked])
        confirmed = renderer.confirmed(views) >= CONFIRMED
        swing[asked[confirmed]] = part
        asked = asked[~confirmed]
        if not len(asked):
            break
    return novel(found, depth, count, swing=_smoothed(swing.clamp_max(_widest(found, depth)), count))


def _widest(cameras: Cameras, depth: float) -> float:
    """The largest part of the swing that the extent of a path allows."""
    centres = cameras.centers
    extent = (centres.amax(0) - centres.amin(0)).norm().item()
    return max(BASELINES * extent / movement_radius(cameras, depth), SWINGS[-1])


def _smoothed(swing: Float[Tensor, "sample"], count: int) -> Float[Tensor, "frame"]:
    """Samples as a smooth curve that nowhere exceeds them."""
    lowest = -F.max_pool1d(-swing[None], 5, 1, 2)
    smooth = F.avg_pool1d(lowest, 5, 1, 2, count_include_pad=False)
    return F.interpolate(smooth[None], count, mode="linear", align_corners=True)[0, 0]
