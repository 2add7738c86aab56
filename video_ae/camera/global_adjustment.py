"""A long video as a whole: its keyframes are adjusted together, and the other frames follow.

Submaps that are merged one after another drift. A few dozen keyframes spread over the video can be solved at once
however long it is, and pairs of them that see the same place at different times (loop closures) hold the ends of the
path together. Where drift hides these, a pose graph over the loops that were recognised bends the path first.
"""

from dataclasses import replace

import torch
from torch import Tensor

from video_ae.camera.covariance import scale_covariance, transport_covariance
from video_ae.camera.pose_graph import RelativePoses, optimise_pose_graph, split_similarity
from video_ae.camera.problem import SceneState, Submap
from video_ae.camera.submaps import scale_poses
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.covisibility import covisible_fraction
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import invert, rigid, se3_exp, se3_log
from video_ae.geometry.trajectories import spread_frames
from video_ae.threads import mean_of_all
from video_ae.types import Cameras

KEYFRAME_GAPS = (1, 2, 4)  # pairs of keyframes that are matched besides the loop closures
_SPREAD = 48  # keyframes in a video in which neighbours always share enough
KEYFRAMES, KEYFRAMES_OF_LOOPS = 80, 128  # at most, which bounds memory and time; where loops were closed


def covisible_keyframes(whole: Submap, most: int = KEYFRAMES) -> list[int]:
    """Frames spread evenly, and more densely where the next one would see less than half of one.

    Empty where that takes too many: keyframes that do not see each other would hold nothing.

    Args:
        whole: all frames of a video.
        most: number of keyframes.
    """
    grid, count = whole.grid, len(whole)
    intrinsics = pinhole_intrinsics(whole.focal_over_width.expand(count), grid.width, grid.height)
    cameras = Cameras(whole.world_from_camera, intrinsics)
    maps = whole.state.inverse_depth.unflatten(1, (grid.rows, grid.columns))
    step, keyframes = -(-count // _SPREAD), [0]
    while keyframes[-1] < count - 1:
        last = keyframes[-1]
        following = list(range(last + 1, min(last + step, count - 1) + 1))
        seen = covisible_fraction(cameras.select([last]), maps[[last]], cameras.select(following))
        lost = (seen < THRESHOLDS.keyframe_overlap).nonzero()
        reach = int(lost[0]) if len(lost) else len(following)
        keyframes.append(last + max(1, reach))
    return keyframes if len(keyframes) <= most else []


def close_loops(whole: Submap, loops: RelativePoses) -> Submap:
    """All frames of a video, its path bent and its scale changed so that loops close.

    Args:
        whole: all frames, before.
        loops: pairs of frames that show the same place.
    """
    ends = {0, len(whole) - 1, *loops.source.tolist(), *loops.target.tolist()}
    chosen = sorted(ends.union(spread_frames(len(whole), _SPREAD)))
    start = whole.frames(chosen)
    position = {frame: number for number, frame in enumerate(chosen)}
    source, target = (
        torch.tensor([position[frame] for frame in frames.tolist()], device=frames.device)
        for frames in (loops.source, loops.target)
    )
    poses, numbers = start.state.camera_from_world, torch.arange(len(chosen), device=loops.source.device)
    steps = RelativePoses(numbers[:-1], numbers[1:], poses[1:] @ invert(poses[:-1]))
    loops = RelativePoses(source, target, loops.target_from_source)
    closed = optimise_pose_graph(start.world_from_camera, RelativePoses.cat([steps, loops]))
    closed, unit = split_similarity(closed)
    state = SceneState(invert(closed), start.state.inverse_depth / unit[:, None], start.state.log_focal)
    return propagate_corrections(whole, chosen, replace(start, state=state))


def loops_are_closed(whole: Submap, loops: RelativePoses, tolerance: float) -> bool:
    """Whether a path says what its loops do.

    Args:
        whole: all frames of a video.
        loops: pairs of frames that show the same place; none are closed.
        tolerance: in radians and mean depths.
    """
    if not len(loops.source):
        return True
    poses = whole.state.camera_from_world
    wanted, unit = split_similarity(loops.target_from_source)
    wanted = rigid(wanted[:, :3, :3], wanted[:, :3, 3] / unit[:, None])
    error = se3_log(invert(wanted) @ poses[loops.target] @ invert(poses[loops.source]))
    return bool(error.unflatten(1, (2, 3)).norm(dim=-1).max() < tolerance)


def propagate_corrections(whole: Submap, keyframes: list[int], adjusted: Submap) -> Submap:
    """All frames of a video, some of which have been adjusted together.

    A frame keeps its motion relative to the keyframes before and after it, each at the scale found for that keyframe,
    and lies between the two predictions, the nearer one counting more; so do covariance and confidence. The first frame
    is the world, the mean inverse depth 1.

    Args:
        whole: all frames, before.
        keyframes: their positions, the first and the last frame among them.
        adjusted: the keyframes, after.
    """
    old, new = whole.world_from_camera, adjusted.world_from_camera
    numbers = torch.tensor(keyframes, device=old.device)
    frames = torch.arange(len(old), device=old.device)
    before = (torch.searchsorted(numbers, frames, right=True) - 1).clamp(0, len(keyframes) - 2)
    share = (frames - numbers[before]) / (numbers[before + 1] - numbers[before])
    maps = adjusted.state.inverse_depth.unflatten(1, (1, adjusted.grid.rows, adjusted.grid.columns))
    size = (whole.grid.rows, whole.grid.columns)
    depth = torch.nn.functional.interpolate(maps, size, mode="bilinear", align_corners=False).flatten(1)
    scale = (whole.state.inverse_depth[numbers].log() - depth.log()).median(1).values.exp()

    def predicted(keyframe: Tensor) -> Tensor:
        return new[keyframe] @ scale_poses(invert(old[numbers[keyframe]]) @ old, scale[keyframe])

    start, end = predicted(before), predicted(before + 1)
    poses = start @ se3_exp(share[:, None] * se3_log(invert(start) @ end))
    frame_scale = torch.lerp(scale[before].log(), scale[before + 1].log(), share).exp()
    inverse_depth = whole.state.inverse_depth / frame_scale[:, None]
    inverse_depth[numbers] = depth
    mean = mean_of_all(inverse_depth)
    spreads = [transport_covariance(adjusted.covariance[k], invert(poses) @ new[k]) for k in (before, before + 1)]
    covariance = torch.lerp(spreads[0], spreads[1], share[:, None, None])
    confidence = torch.lerp(adjusted.confidence[before], adjusted.confidence[before + 1], share)
    log_focal = (adjusted.focal_over_width * whole.grid.width).log()
    state = SceneState(invert(scale_poses(poses, mean)), inverse_depth / mean, log_focal)
    covariance, variance = scale_covariance(covariance, mean), adjusted.focal_variance
    return Submap(state, whole.grid, covariance, confidence, whole.notes, variance)
