"""Long videos: overlapping windows are solved one after another and joined by the frames that they share."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video_ae.camera.bundle_adjustment import adjoint
from video_ae.camera.covariance import rotation_confidence
from video_ae.camera.frame_graph import FrameGraph
from video_ae.geometry.se3 import invert
from video_ae.types import CameraEstimate, Cameras


def window_parts(frames: int, length: int, overlap: int) -> list[slice]:
    """Windows of `length` frames that share at least `overlap` with the next; the last one ends with the video.

    >>> window_parts(10, 4, 1)
    [slice(0, 4, None), slice(3, 7, None), slice(6, 10, None)]
    """
    last = max(0, frames - length)
    starts = [*range(0, last, max(1, length - overlap)), last]
    return [slice(start, min(start + length, frames)) for start in starts]


def moving_frames(graph: FrameGraph, least: float = 0.15) -> tuple[list[int], Int[Tensor, "frame"]]:
    """(frames that differ from the one kept before, which of those stands for each frame).

    A camera that stands for a while would cut a long video in two parts of unrelated scales. A frame is kept where a
    quarter of the picture has moved by more than `least` pixels since the last one kept; the last frame always is.
    """
    kept, holder = [0], [0]
    for frame in range(1, graph.count):
        edge = torch.tensor([[kept[-1]], [frame]], device=graph.device)
        moved = graph.flow(edge).flow.norm(dim=1).flatten().quantile(0.75)
        if moved > least or frame == graph.count - 1:
            kept.append(frame)
        holder.append(len(kept) - 1)
    return kept, torch.tensor(holder, device=graph.device)


def hold(estimate: CameraEstimate, holder: Int[Tensor, "frame"]) -> CameraEstimate:
    """The estimate (batch of one) of all frames from that of the kept ones."""
    return CameraEstimate(
        estimate.cameras.select(holder),
        estimate.inverse_depth[:, holder],
        estimate.confidence[:, holder],
        estimate.covariance[:, holder],
        estimate.notes,
    )


def select_frames(estimate: CameraEstimate, index: int, part: slice | list[int]) -> CameraEstimate:
    """Some frames of one clip of a batch (the result has a batch of one); their first frame becomes the world."""
    poses = estimate.cameras.world_from_camera[index, part]
    poses = invert(poses[:1]) @ poses
    return CameraEstimate(
        Cameras(poses[None], estimate.cameras.intrinsics[index : index + 1, part]),
        estimate.inverse_depth[index : index + 1, part],
        estimate.confidence[index : index + 1, part],
        estimate.covariance[index : index + 1, part],
        (),
    )


def common_focal(estimates: list[CameraEstimate]) -> float:
    """Median of the windows' focal lengths in widths, weighted by their confidences."""
    focals = torch.stack([e.cameras.intrinsics[0, 0, 0] for e in estimates])
    weights = torch.stack([e.confidence.mean() * (0.1 if e.notes else 1.0) for e in estimates])
    order = focals.argsort()
    half = weights[order].cumsum(0) >= weights.sum() / 2
    return focals[order[int(half.float().argmax())]].item()


def join_windows(estimates: list[CameraEstimate], parts: list[slice]) -> CameraEstimate:
    """One estimate from those of overlapping windows (each a batch of one), in the first window's world.

    Scales are joined by the median ratio of the shared frames' inverse depths, which holds where the camera stands
    too; rotations by their mean, positions by their median. Each half of an overlap comes from the nearer window.
    """
    poses, depth, covariance = (x[0] for x in _parts_of(estimates[0]))
    confidence = estimates[0].confidence[0]
    for estimate, previous, part in zip(estimates[1:], parts[:-1], parts[1:], strict=True):
        shared = previous.stop - part.start
        new_poses, new_depth, new_covariance = (x[0] for x in _parts_of(estimate))
        scale = (new_depth[:shared].log() - depth[part.start :].log()).median().exp()
        new_poses = scaled(new_poses, scale)
        joined = _world_from_window(poses[part.start :], new_poses[:shared]) @ new_poses
        spread = _accumulated(covariance[part.start], scaled_covariance(new_covariance, scale), new_poses)
        cut = shared // 2
        keep = part.start + cut
        poses = torch.cat([poses[:keep], joined[cut:]])
        depth = torch.cat([depth[:keep], new_depth[cut:] / scale])
        covariance = torch.cat([covariance[:keep], spread[cut:]])
        certain = torch.minimum(estimate.confidence[0], rotation_confidence(spread))  # a window's own begins at 1
        confidence = torch.cat([confidence[:keep], certain[cut:]])
    mean = depth.mean()
    intrinsics = estimates[0].cameras.intrinsics[:, :1].expand(1, len(poses), 4)
    return CameraEstimate(
        Cameras(scaled(poses, mean)[None], intrinsics.clone()),
        (depth / mean)[None],
        confidence[None],
        scaled_covariance(covariance, mean)[None],
        _joined_notes(estimates, parts),
    )


def _parts_of(estimate: CameraEstimate) -> tuple[Tensor, Tensor, Tensor]:
    return estimate.cameras.world_from_camera, estimate.inverse_depth, estimate.covariance


def scaled(poses: Float[Tensor, "frame 4 4"], scale: Tensor) -> Float[Tensor, "frame 4 4"]:
    """Poses in a world that is `scale` (one, or one a frame) times as large."""
    poses = poses.clone()
    poses[:, :3, 3] *= scale.reshape(-1, 1)
    return poses


def scaled_covariance(covariance: Float[Tensor, "frame 6 6"], scale: Tensor) -> Float[Tensor, "frame 6 6"]:
    """Covariances of rotation and translation in a world that is `scale` times as large."""
    factor = torch.cat([torch.ones(3, device=scale.device), scale.expand(3)])
    return covariance * factor[:, None] * factor


def _world_from_window(known: Float[Tensor, "frame 4 4"], found: Float[Tensor, "frame 4 4"]) -> Float[Tensor, "4 4"]:
    """The motion that takes a window's poses to the known ones of the same frames."""
    u, _, v = torch.linalg.svd((known[:, :3, :3] @ found[:, :3, :3].mT).sum(0))
    sign = torch.diag(torch.stack([torch.ones_like(u[0, 0])] * 2 + [torch.det(u @ v).sign()]))
    motion = torch.eye(4, dtype=known.dtype, device=known.device)
    motion[:3, :3] = u @ sign @ v
    motion[:3, 3] = (known[:, :3, 3] - found[:, :3, 3] @ motion[:3, :3].T).median(0).values
    return motion


def _accumulated(anchor: Tensor, covariance: Tensor, poses: Float[Tensor, "frame 4 4"]) -> Float[Tensor, "frame 6 6"]:
    """Covariances relative to the video's first frame: the window's own plus that of the window's first frame."""
    return covariance + carried(anchor, invert(poses) @ poses[:1])


def carried(covariance: Float[Tensor, "*#frame 6 6"], motion: Float[Tensor, "frame 4 4"]) -> Float[Tensor, "frame 6 6"]:
    """Covariances of cameras from those of others that they are fixed to; motion: to their axes from the others'."""
    lever = adjoint(motion)
    return lever @ covariance @ lever.mT


def _joined_notes(estimates: list[CameraEstimate], parts: list[slice]) -> tuple[str, ...]:
    notes = [e.notes for e in estimates]
    if all(n == notes[0] for n in notes):
        return notes[0]
    return tuple(f"frames {p.start} to {p.stop - 1}: {note}" for p, n in zip(parts, notes, strict=True) for note in n)
