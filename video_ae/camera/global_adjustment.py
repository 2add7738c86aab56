"""A long video as a whole: some of its frames are solved together, and the rest goes with them.

Windows that are joined one after another drift. A few dozen frames spread over the video can be solved at once however
long it is, and pairs of them that see the same place at different times (loops) hold the ends of the path together:
what keyframes and a pose graph do for SLAM, by the same bundle adjustment as everywhere else.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.camera.submaps import carried, scaled, scaled_covariance
from video_ae.geometry.pinhole import camera_rays, project, transform
from video_ae.geometry.se3 import invert, se3_exp, se3_log
from video_ae.types import CameraEstimate, Cameras

ANCHOR_GAPS = (1, 2, 4)  # pairs of anchors that are matched besides the loops
LOOPS = 60  # pairs
_SPREAD = 48  # anchors in a video in which neighbours always share enough
_MOST = 80  # bounds memory and time
_SHARED = 0.5  # of an anchor's points lie inside the next one


def anchor_frames(estimate: CameraEstimate) -> list[int]:
    """Frames (of a batch of one) spread evenly, and more densely where the next one would see less than half of one.

    Empty where that takes too many: anchors that do not see each other would hold nothing.
    """
    count = len(estimate.cameras)
    step, anchors = -(-count // _SPREAD), [0]
    while anchors[-1] < count - 1:
        last = anchors[-1]
        following = torch.arange(last + 1, min(last + step, count - 1) + 1)
        lost = (_seen_by(estimate, last, following) < _SHARED).nonzero()
        reach = int(lost[0]) if len(lost) else len(following)
        anchors.append(last + max(1, reach))
    return anchors if len(anchors) <= _MOST else []


def _seen_by(estimate: CameraEstimate, frame: int, others: Int[Tensor, "other"]) -> Float[Tensor, "other"]:
    """Part of a frame's points that lie inside other frames."""
    cameras, depth = estimate.cameras, estimate.inverse_depth[0, frame]
    rays = camera_rays(cameras.intrinsics[0, frame], *depth.shape)
    there_from_here = invert(cameras.world_from_camera[0, others]) @ cameras.world_from_camera[0, frame]
    points = transform(there_from_here[:, None, None], rays / depth[..., None].clamp_min(1e-6))
    place = project(points, cameras.intrinsics[0, others][:, None, None].expand(*points.shape[:-1], 4))
    inside = ((place > 0) & (place < 1)).all(-1) & (points[..., 2] > 0)
    return inside.float().mean((1, 2))


def follow_anchors(whole: CameraEstimate, anchors: list[int], settled: CameraEstimate) -> CameraEstimate:
    """All frames of a video (`whole`), some of which (`anchors`) have been solved anew (`settled`); batches of one.

    A frame keeps its motion relative to the anchors before and after it, each at the scale found for that anchor, and
    lies between the two predictions, the nearer one counting more; so do covariance and confidence. The first frame is
    the world, the mean inverse depth 1.
    """
    old, new = whole.cameras.world_from_camera[0], settled.cameras.world_from_camera[0]
    numbers = torch.tensor(anchors, device=old.device)
    frames = torch.arange(len(old), device=old.device)
    before = (torch.searchsorted(numbers, frames, right=True) - 1).clamp(0, len(anchors) - 2)
    share = (frames - numbers[before]) / (numbers[before + 1] - numbers[before])
    size = whole.inverse_depth.shape[-2:]
    depth = torch.nn.functional.interpolate(settled.inverse_depth, size, mode="bilinear", align_corners=False)[0]
    stretch = (whole.inverse_depth[0, numbers].log() - depth.log()).flatten(1).median(1).values.exp()

    def predicted(anchor: Tensor) -> Tensor:
        return new[anchor] @ scaled(invert(old[numbers[anchor]]) @ old, stretch[anchor])

    start, end = predicted(before), predicted(before + 1)
    poses = start @ se3_exp(share[:, None] * se3_log(invert(start) @ end))
    scale = torch.lerp(stretch[before].log(), stretch[before + 1].log(), share).exp()
    inverse_depth = whole.inverse_depth[0] / scale[:, None, None]
    inverse_depth[numbers] = depth
    mean = inverse_depth.mean()
    spreads = [carried(settled.covariance[0, a], invert(poses) @ new[a]) for a in (before, before + 1)]
    covariance = torch.lerp(spreads[0], spreads[1], share[:, None, None])
    certain = torch.lerp(settled.confidence[0, before], settled.confidence[0, before + 1], share)
    intrinsics = settled.cameras.intrinsics[:, :1].expand(1, len(poses), 4)
    return CameraEstimate(
        Cameras(scaled(poses, mean)[None], intrinsics.clone()),
        (inverse_depth / mean)[None],
        certain[None],
        scaled_covariance(covariance, mean)[None],
        whole.notes,
    )
