"""Long videos: overlapping submaps are solved one after another and merged by the frames that they share."""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.camera.covariance import rotation_confidence, scale_covariance, transport_covariance
from video_ae.camera.notes import note_of_stretch
from video_ae.camera.problem import SceneState, Submap
from video_ae.camera.thresholds import THRESHOLDS
from video_ae.geometry.se3 import invert, rigid
from video_ae.progress import report
from video_ae.threads import mean_of_all

Solve = Callable[[list[int]], Submap]
Continue = Callable[[list[int], Submap, int], Submap]
Cost = Callable[[list[int], Submap], float]


def split_frames(frames: int, length: int, overlap: int) -> list[list[int]]:
    """Frame numbers of submaps that share some frames with the next; the last one ends with the video.

    Args:
        frames: in the video.
        length: of a submap.
        overlap: frames that neighbours share at least.

    >>> split_frames(10, 4, 1)
    [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    """
    last = max(0, frames - length)
    starts = [*range(0, last, max(1, length - overlap)), last]
    return [list(range(start, min(start + length, frames))) for start in starts]


def shared_frames(part: list[int], following: list[int]) -> int:
    """How many frames a submap shares with the next one.

    Args:
        part, following: frame numbers, ascending.
    """
    return part[-1] + 1 - following[0]


def solve_submaps(parts: list[list[int]], solve: Solve, continue_from: Continue, cost: Cost) -> list[Submap]:
    """The submaps of a video, each started from the one before; those that cost more than their neighbours once more.

    A wrong submap leads the ones after it astray, and is only seen beside others. Where a submap's reprojection cost
    is high, or clearly exceeds that of the one before, it is also solved from nothing; then, from the last to the
    first, one whose cost exceeds its successor's is solved again, backwards from that one. The better of the two is
    kept each time.

    Args:
        parts: frame numbers of each submap.
        solve: a submap from nothing.
        continue_from: a submap whose first frames end the one before (that one, and their number).
        cost: of a submap's correspondences, on average.
    """
    report("cameras: submaps", 0)
    submaps = [solve(parts[0])]
    costs = [cost(parts[0], submaps[0])]

    def keep_better(number: int, other: Submap) -> None:
        if (lower := cost(parts[number], other)) < costs[number]:
            submaps[number], costs[number] = other, lower

    for number, (previous, part) in enumerate(pairwise(parts), 1):
        report("cameras: submaps", number / len(parts))
        submaps.append(continue_from(part, submaps[-1], shared_frames(previous, part)))
        costs.append(cost(part, submaps[-1]))
        if costs[-1] > min(THRESHOLDS.reinit_cost, THRESHOLDS.resolve_cost_ratio * costs[-2]):
            again = solve(part)
            if not again.state.is_pure_rotation:  # which would have lost the scale
                keep_better(number, again)
    report("cameras: submaps", 1)
    for number in range(len(parts) - 2, -1, -1):
        if costs[number] > THRESHOLDS.resolve_cost_ratio * costs[number + 1]:
            part, shared = parts[number], shared_frames(parts[number], parts[number + 1])
            keep_better(number, continue_from(part[::-1], submaps[number + 1].reversed(), shared).reversed())
    return submaps


def common_focal(submaps: list[Submap]) -> float:
    """Median of the submaps' focal lengths in widths, weighted by their confidences.

    Args:
        submaps: at least one.
    """
    focals = torch.stack([submap.focal_over_width for submap in submaps])
    weights = torch.stack([submap.confidence.mean() * (0.1 if submap.notes else 1.0) for submap in submaps])
    order = focals.argsort()
    half = weights[order].cumsum(0) >= weights.sum() / 2
    return focals[order[int(half.float().argmax())]].item()


def merge_submaps(submaps: list[Submap], parts: list[list[int]]) -> Submap:
    """One submap of all frames, in the first one's world, at mean inverse depth 1.

    Scales are merged by the median ratio of the shared frames' inverse depths, which holds where the camera stands too;
    rotations by their mean, positions by their median. Each half of an overlap comes from the nearer submap.

    Args:
        submaps: on one grid, with one focal length (the first one's is kept).
        parts: their frame numbers.
    """
    first = submaps[0]
    poses, depth, covariance = first.world_from_camera, first.state.inverse_depth, first.covariance
    confidence = first.confidence
    for submap, previous, part in zip(submaps[1:], parts[:-1], parts[1:], strict=True):
        shared, start = shared_frames(previous, part), part[0]
        scale = (submap.state.inverse_depth[:shared].log() - depth[start:].log()).median().exp()
        own_poses, own_depth = scale_poses(submap.world_from_camera, scale), submap.state.inverse_depth / scale
        merged = _world_from_submap(poses[start:], own_poses[:shared]) @ own_poses
        own = scale_covariance(submap.covariance, scale)
        # Relative to the video's first frame: the submap's own, and that of its first frame.
        spread = own + transport_covariance(covariance[start], invert(own_poses) @ own_poses[:1])
        certain = torch.minimum(submap.confidence, rotation_confidence(spread))  # a submap's own begins at 1
        cut = shared // 2
        keep = start + cut
        poses = torch.cat([poses[:keep], merged[cut:]])
        depth = torch.cat([depth[:keep], own_depth[cut:]])
        covariance = torch.cat([covariance[:keep], spread[cut:]])
        confidence = torch.cat([confidence[:keep], certain[cut:]])
    mean = mean_of_all(depth)
    state = SceneState(invert(scale_poses(poses, mean)), depth / mean, first.state.log_focal)
    variance = 1 / sum(1 / max(submap.focal_variance, 1e-12) for submap in submaps)
    notes = _merged_notes(submaps, parts)
    return Submap(state, first.grid, scale_covariance(covariance, mean), confidence, notes, variance)


def scale_poses(poses: Float[Tensor, "frame 4 4"], scale: Tensor) -> Float[Tensor, "frame 4 4"]:
    """Poses in a world that is so many times as large.

    Args:
        poses: rigid.
        scale: one, or one a frame.
    """
    return rigid(poses[:, :3, :3], poses[:, :3, 3] * scale.reshape(-1, 1))


def _world_from_submap(known: Float[Tensor, "frame 4 4"], found: Float[Tensor, "frame 4 4"]) -> Float[Tensor, "4 4"]:
    """The motion that takes a submap's poses to the known ones of the same frames."""
    u, _, v = torch.linalg.svd((known[:, :3, :3] @ found[:, :3, :3].mT).sum(0))
    sign = torch.diag(torch.stack([torch.ones_like(u[0, 0])] * 2 + [torch.det(u @ v).sign()]))
    rotation = u @ sign @ v
    return rigid(rotation, (known[:, :3, 3] - found[:, :3, 3] @ rotation.T).median(0).values)


def _merged_notes(submaps: list[Submap], parts: list[list[int]]) -> tuple[str, ...]:
    notes = [submap.notes for submap in submaps]
    if all(own == notes[0] for own in notes):
        return notes[0]
    return tuple(
        note_of_stretch(note, part[0], part[-1]) for part, own in zip(parts, notes, strict=True) for note in own
    )
