"""Classical two-view odometry through OpenCV, an optional package.

SIFT (Lowe 2004) and the five-point algorithm (Nistér 2004) with RANSAC, frame to frame, without any bundle adjustment.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from video_ae.errors import UserError
from video_ae.evaluation.baselines import standing_still
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.geometry.se3 import invert, rigid
from video_ae.scene.rendering import to_image
from video_ae.types import VideoClip

_FEATURES, _CONTRAST, _RATIO = 3000, 0.01, 0.8
_RANSAC_PIXELS, _RANSAC_CERTAINTY = 0.75, 0.999
_FEWEST_MATCHES = 8
_FURTHEST_POINT = 1e4  # step lengths; OpenCV's own 50 throws away what a small step sees
_MOST_SCALE_CHANGE = 3.0  # from one step to the next


@dataclass(frozen=True)
class _Step:
    """The motion between two neighbours: `next_from_previous` with a translation of length 1, and in that unit the
    depths of the points seen by both, by the number of their keypoint in the previous and in the next frame."""

    next_from_previous: torch.Tensor
    depth_in_previous: dict[int, float]
    depth_in_next: dict[int, float]


class TwoViewOdometry:
    """A `PoseEstimator`: each frame's motion from the frame before it, chained.

    A step is as long as makes the points that it shares with the step before equally deep in both (median, at most a
    threefold change). Uses the clip's intrinsics, or a focal length of 1.2 times the longer side where it has none.
    A frame that cannot be matched stays where the last one was and counts as not posed. Raises UserError where no two
    neighbouring frames can be matched.

    Args:
        seed: RANSAC's.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        # Without the precise upscaling OpenCV's keypoints lie a quarter of a pixel to the right and below.
        self._sift = cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=_CONTRAST, enable_precise_upscale=True)

    def __call__(self, clip: VideoClip) -> PoseEstimate:
        cv2.setNumThreads(1)
        cv2.setRNGSeed(self._seed)
        cameras = standing_still(clip).cameras
        matrices = cameras.K(*clip.image_size)
        matrices[:, :2, 2] -= 0.5  # OpenCV's pixel centres lie at whole numbers
        grey = [cv2.cvtColor(np.asarray(to_image(frame)), cv2.COLOR_RGB2GRAY) for frame in clip.frames]
        features = [self._sift.detectAndCompute(image, None) for image in grey]
        steps = [_step(*each) for each in zip(features[:-1], features[1:], matrices.numpy()[:-1], strict=True)]
        if not any(steps):
            raise UserError("Two-view odometry could not match any two neighbouring frames of this clip.")
        posed = torch.tensor([True, *(step is not None for step in steps)])
        return PoseEstimate(replace(cameras, world_from_camera=_chain(steps)), posed=posed)


def _step(previous: tuple, following: tuple, matrix: np.ndarray) -> _Step | None:
    pairs = _matches(previous[1], following[1])
    if len(pairs) < _FEWEST_MATCHES:
        return None
    first = np.array([previous[0][a].pt for a, _ in pairs])
    second = np.array([following[0][b].pt for _, b in pairs])
    essential, inliers = cv2.findEssentialMat(first, second, matrix, cv2.RANSAC, _RANSAC_CERTAINTY, _RANSAC_PIXELS)
    if essential is None or essential.shape != (3, 3) or inliers.sum() < _FEWEST_MATCHES:
        return None
    _, rotation, translation, inliers, homogeneous = cv2.recoverPose(
        essential, first, second, matrix, distanceThresh=_FURTHEST_POINT, mask=inliers
    )
    used = [i for i in range(len(pairs)) if inliers[i, 0]]
    if len(used) < _FEWEST_MATCHES:
        return None
    before = homogeneous[:3, used] / homogeneous[3, used]
    after = rotation @ before + translation
    good = [(*pairs[i], z, w) for i, z, w in zip(used, before[2], after[2], strict=True) if z > 0 and w > 0]
    moved = rigid(torch.from_numpy(rotation).double(), torch.from_numpy(translation[:, 0]).double())
    return _Step(moved, {a: z for a, _, z, _ in good}, {b: w for _, b, _, w in good})


def _matches(previous: np.ndarray | None, following: np.ndarray | None) -> list[tuple[int, int]]:
    """Pairs of keypoints that pass Lowe's ratio test."""
    if previous is None or following is None or len(following) < 2:
        return []
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(previous, following, k=2)
    return [(best.queryIdx, best.trainIdx) for best, second in found if best.distance < _RATIO * second.distance]


def _chain(steps: list[_Step | None]) -> torch.Tensor:
    """world_from_camera of all frames; the first is the world and the first step has length 1."""
    poses, length = [torch.eye(4, dtype=torch.float64)], 1.0
    depths: dict[int, float] = {}  # in the last frame, of the points that were seen in it and in the one before
    for step in steps:
        if step is None:
            poses.append(poses[-1])
        else:
            length *= _longer(depths, step.depth_in_previous)
            motion = rigid(step.next_from_previous[:3, :3], length * step.next_from_previous[:3, 3])
            poses.append(poses[-1] @ invert(motion))
        depths = {} if step is None else step.depth_in_next
    return torch.stack(poses)


def _longer(before: dict[int, float], now: dict[int, float]) -> float:
    """How many times longer a step is than the one before, by the depths of a frame's points; 1 if they share none."""
    ratios = [before[point] / depth for point, depth in now.items() if point in before]
    ratio = float(np.median(ratios)) if ratios else 1.0
    return min(max(ratio, 1 / _MOST_SCALE_CHANGE), _MOST_SCALE_CHANGE)
