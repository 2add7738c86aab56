"""What a report needs beyond the numbers: paths and images, kept while the protocols run."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.evaluation.metrics import collapse
from video_ae.evaluation.metrics.pose_errors import rms_extent
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, Prediction
from video_ae.evaluation.protocols.frozen_frames import View
from video_ae.evaluation.protocols.running import attempt, true_cameras, without_truth
from video_ae.geometry.se3 import relative_to_first
from video_ae.geometry.umeyama import align
from video_ae.types import Cameras, VideoClip

_BACK_FRAMES = 8  # of a clip, played there and back


def diagnose_poses(
    cameras: Cameras, estimate: PoseEstimate, clip: VideoClip, back: PoseEstimate | None = None
) -> list[dict[str, Any]]:
    """All signs of collapse that apply to a method's cameras of one clip, as plain values.

    Args:
        cameras: the estimate's, with gaps filled.
        estimate: the method's.
        clip: with its true cameras.
        back: the method's estimate of a `there_and_back` clip, if it was run on one.
    """
    found, true = cameras.world_from_camera, true_cameras(clip).world_from_camera
    extent = rms_extent(found[:, :3, 3])
    depth = 1.0 if estimate.inverse_depth is not None or extent == 0 else extent
    findings = [
        collapse.poses_alike(found, true, depth),
        collapse.wrong_sign(found, true),
        collapse.scale_drift(found, true),
        collapse.runaway_focal(cameras.intrinsics, clip.image_size),
        None if estimate.inverse_depth is None else collapse.flat_structure(estimate.inverse_depth),
        None if back is None else collapse.poses_encode_time(back.cameras.world_from_camera),
    ]
    return [vars(finding) for finding in findings if finding is not None]


@dataclass
class PoseRecord:
    """An observer of `run_pose_protocol`: paths of all methods, and what is known of one.

    Args:
        method: whose confidence and diagnostics are kept.
        back: where given, is run on each clip's first frames played there and back, to see whether its poses encode
            time.
        paths: clip -> method (and "truth") -> centres in the first true camera's axes, aligned with the truth by
            Sim(3).
        confidence: clip -> confidence and distance from the truth over its extent, per frame.
        diagnostics: clip -> findings.
    """

    method: str
    back: PoseEstimator | None = None
    paths: dict[str, dict[str, Float[Tensor, "frame 3"]]] = field(default_factory=dict)
    confidence: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    diagnostics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, label: str, name: str, clip: VideoClip, cameras: Cameras, estimate: PoseEstimate) -> None:
        true = relative_to_first(true_cameras(clip).world_from_camera)[:, :3, 3]
        aligned = align(cameras.centers, true).apply(cameras.centers)
        self.paths.setdefault(name, {"truth": true})[label] = aligned
        if label != self.method:
            return
        if estimate.confidence is not None:
            extent = (true - true.mean(0)).square().sum(-1).mean().sqrt().clamp_min(1e-12)
            self.confidence[name] = estimate.confidence.cpu(), (aligned - true).norm(dim=-1) / extent
        if estimate.posed is None or estimate.posed.any():
            back = collapse.there_and_back(clip.select(slice(0, _BACK_FRAMES)))
            # A clip that cannot be solved says nothing about time.
            found = attempt(self.back, without_truth(back, False)).answer if self.back else None
            self.diagnostics[name] = diagnose_poses(cameras, estimate, clip, found)


@dataclass
class Strip:
    """A row of images of one view.

    Args:
        contexts: frames that were given.
        target: frame to predict.
        predictions: by method.
        frame: position of the target in its clip.
    """

    contexts: Float[Tensor, "context 3 height width"]
    target: Float[Tensor, "3 height width"]
    predictions: dict[str, Prediction]
    frame: int = 0


@dataclass
class ViewRecord:
    """An observer of `run_view_protocol`: the middle view of each clip and gap, and whether the method copies.

    Args:
        method: whose diagnostics are kept.
        strips: (clip, gap) -> view.
    """

    method: str
    strips: dict[tuple[str, int], Strip] = field(default_factory=dict)
    _seen: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = field(default_factory=dict, init=False)

    def __call__(self, label: str, name: str, gap: int, clip: VideoClip, view: View, found: Prediction) -> None:
        target = clip.frames[view.target]
        if label == self.method:
            contexts = clip.frames[list(view.contexts)]
            small = collapse.shrink(found.image[None])[0], collapse.shrink(contexts), collapse.shrink(target[None])[0]
            self._seen.setdefault(name, []).append(small)
            if _nearer_to_middle(view.target, self.strips.get((name, gap)), clip):
                self.strips[name, gap] = Strip(contexts, target, {}, view.target)
        if (kept := self.strips.get((name, gap))) and kept.frame == view.target:
            kept.predictions[label] = found

    @property
    def diagnostics(self) -> dict[str, list[dict[str, Any]]]:
        """By clip, whether the predictions are the nearest context."""
        found = {
            name: collapse.copies_context(*(torch.stack(part) for part in zip(*seen, strict=True)))
            for name, seen in self._seen.items()
        }
        return {name: [] if finding is None else [vars(finding)] for name, finding in found.items()}


@dataclass
class FrameRecord:
    """An observer of `run_reconstruction_protocol`: the frame nearest to each clip's middle.

    Args:
        method: whose frames are kept.
        strips: clip -> frame and rendering.
        diagnostics: clip -> findings.
    """

    method: str
    strips: dict[str, Strip] = field(default_factory=dict)
    diagnostics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, label: str, name: str, frame: int, clip: VideoClip, found: Prediction) -> None:
        if label != self.method or not _nearer_to_middle(frame, self.strips.get(name), clip):
            return
        self.strips[name] = Strip(clip.frames[:0], clip.frames[frame], {label: found}, frame)
        if found.disparity is not None and not self.diagnostics.get(name):
            self.diagnostics[name] = [vars(collapse.flat_structure(found.disparity[None]))]


Record = PoseRecord | ViewRecord | FrameRecord


def _nearer_to_middle(frame: int, kept: Strip | None, clip: VideoClip) -> bool:
    middle = len(clip) / 2
    return kept is None or abs(frame - middle) < abs(kept.frame - middle)
