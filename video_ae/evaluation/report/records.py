"""What a report needs beyond the numbers: paths and images, kept while the protocols run."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.evaluation.diagnostics import diagnose_poses
from video_ae.evaluation.metrics.collapse import copies_context, flat_structure, there_and_back
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, Prediction, without_truth
from video_ae.evaluation.protocols.frozen_frames import View
from video_ae.geometry.se3 import relative_to_first
from video_ae.geometry.umeyama import align
from video_ae.types import Cameras, VideoClip

_BACK_FRAMES = 8  # of a clip, played there and back


@dataclass
class PoseRecord:
    """An `on_method` of `run_pose_protocol`: paths of all methods, and what is known of one.

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
        assert clip.cameras is not None, "a report needs the true cameras"
        true = relative_to_first(clip.cameras.world_from_camera.double())[:, :3, 3]
        centres = cameras.centers
        aligned = align(centres, true).apply(centres)
        self.paths.setdefault(name, {"truth": true})[label] = aligned
        if label != self.method:
            return
        if estimate.confidence is not None:
            extent = (true - true.mean(0)).square().sum(-1).mean().sqrt().clamp_min(1e-12)
            self.confidence[name] = estimate.confidence.cpu(), (aligned - true).norm(dim=-1) / extent
        if estimate.posed is None or estimate.posed.any():
            self.diagnostics[name] = diagnose_poses(cameras, estimate, clip, self._back(clip))

    def _back(self, clip: VideoClip) -> PoseEstimate | None:
        if self.back is None:
            return None
        try:
            return self.back(without_truth(there_and_back(clip.select(slice(0, _BACK_FRAMES))), False))
        except UserError:
            return None  # a clip that cannot be solved says nothing about time


@dataclass(frozen=True)
class Strip:
    """A row of images of one view.

    Args:
        contexts: frames that were given.
        target: frame to predict.
        predictions: by method.
    """

    contexts: Float[Tensor, "context 3 height width"]
    target: Float[Tensor, "3 height width"]
    predictions: dict[str, Prediction]


@dataclass
class ViewRecord:
    """An `on_method` of `run_view_protocol`: the middle view of each clip and gap, and whether the method copies.

    Args:
        method: whose diagnostics are kept.
        strips: (clip, gap) -> view.
    """

    method: str
    strips: dict[tuple[str, int], Strip] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._seen: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        self._best: dict[tuple[str, int], float] = {}
        self._views: dict[tuple[str, int], View] = {}

    def __call__(self, label: str, name: str, gap: int, clip: VideoClip, view: View, found: Prediction) -> None:
        key, target = (name, gap), clip.frames[view.target]
        if label == self.method:
            contexts = clip.frames[list(view.contexts)]
            small = [_small(images) for images in (found.image[None], contexts, target[None])]
            self._seen.setdefault(name, []).append((small[0][0], small[1], small[2][0]))
            kept = self.strips.get(key)
            if kept is None or _from_middle(view, clip) < self._best[key]:
                self._best[key] = _from_middle(view, clip)
                self._views[key] = view
                self.strips[key] = Strip(contexts, target, {})
        if self._views.get(key) == view:
            self.strips[key].predictions[label] = found

    @property
    def diagnostics(self) -> dict[str, list[dict[str, Any]]]:
        """By clip, whether the predictions are the nearest context."""
        found = {}
        for name, seen in self._seen.items():
            stacked = [torch.stack(part) for part in zip(*seen, strict=True)]
            finding = copies_context(stacked[0], stacked[1], stacked[2])
            found[name] = [] if finding is None else [vars(finding)]
        return found


@dataclass
class FrameRecord:
    """An `on_frame` of `run_reconstruction_protocol`: the frame nearest to each clip's middle.

    Args:
        method: whose frames are kept.
        strips: (clip, frame) -> frame and rendering.
        diagnostics: clip -> findings.
    """

    method: str
    strips: dict[tuple[str, int], Strip] = field(default_factory=dict)
    diagnostics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, label: str, name: str, frame: int, clip: VideoClip, found: Prediction) -> None:
        if label != self.method:
            return
        kept = [number for clip_name, number in self.strips if clip_name == name]
        if kept and abs(kept[0] - len(clip) / 2) <= abs(frame - len(clip) / 2):
            return
        self.strips.pop((name, kept[0] if kept else -1), None)
        self.strips[name, frame] = Strip(clip.frames[:0], clip.frames[frame], {label: found})
        if found.disparity is not None and not self.diagnostics.get(name):
            self.diagnostics[name] = [vars(flat_structure(found.disparity[None]))]


Record = PoseRecord | ViewRecord | FrameRecord


def _from_middle(view: View, clip: VideoClip) -> float:
    """Frames between the target and the clip's middle."""
    return abs(view.target - len(clip) / 2)


def _small(frames: Tensor) -> Tensor:
    """At most 64 pixels high: enough to see whether an image is a copy."""
    height, width = frames.shape[-2:]
    size = (min(64, height), max(1, round(width * min(64, height) / height)))
    return torch.nn.functional.interpolate(frames, size, mode="area")
