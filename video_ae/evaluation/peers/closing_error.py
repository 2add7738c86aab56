"""How far a walk that comes back to its start misses it, by what the cameras were not found with (OpenCV).

Frames at the end that see what the first ones saw are located anew: SIFT matches with the first frames, triangulated in
their cameras, and PnP.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int
from torch import Tensor

from video_ae.types import Cameras
from video_ae.videos.base import VideoReader

_RATIO, _BASELINE = 0.8, 3  # of Lowe's test; frames between the two views of a triangulation
_TRIANGULATED_PIXELS, _LOCATED_PIXELS = 1.5, 4.0
_LEAST_ANGLE, _LEAST_POINTS = np.deg2rad(0.7), 30


@dataclass(frozen=True)
class ClosingError:
    """Where the path has a late frame, beside where the first frames have it.

    Args:
        frame: its position in the clip.
        percent: of the path's length, between the two.
        degrees: by which its camera is rotated.
        points: that it was located by.
    """

    frame: int
    percent: float
    degrees: float
    points: int


def closing_errors(
    cameras: Cameras, indices: Int[Tensor, "frame"], reader: VideoReader, frames: int = 16
) -> Iterator[ClosingError | None]:
    """The error of each of the last frames, half as many as of the first ones; None where too little is seen again.

    Args:
        cameras: of all frames of a clip, in which they have one focal length.
        indices: their numbers in the video.
        reader: of the video, without a lens's distortion where the cameras are those of such frames.
        frames: at the start of the clip.
    """
    poses = cameras.world_from_camera.double().numpy()
    calibration = cameras.K(*reader.image_size)[0].double().numpy()
    calibration[:2, 2] -= 0.5  # OpenCV's pixel centres lie at whole numbers
    length = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum()

    @cache
    def features(frame: int) -> Any:
        image = reader.read([int(indices[frame])])[0].permute(1, 2, 0).numpy()
        # Without the precise upscaling OpenCV's keypoints lie a quarter of a pixel to the right and below.
        sift = cv2.SIFT.create(nfeatures=4000, contrastThreshold=0.01, enable_precise_upscale=True)
        return sift.detectAndCompute(image, None)

    for late in range(len(poses) - frames // 2, len(poses)):
        located = _locate(*_seen_before(late, frames, features, poses, calibration), calibration)
        if located is None:
            yield None
            continue
        rotation, position, points = located
        off = 100 * np.linalg.norm(position - poses[late][:3, 3]) / length
        turn = np.rad2deg(np.arccos(((np.trace(rotation.T @ poses[late][:3, :3]) - 1) / 2).clip(-1, 1)))
        yield ClosingError(late, float(off), float(turn), points)


def _matches(one: Any, other: Any) -> dict[int, int]:
    """Numbers of the features of one frame -> those of another.

    Args:
        one, other: (key points, descriptors); None in place of descriptors where there is no texture.
    """
    if one[1] is None or other[1] is None or len(other[1]) < 2:
        return {}
    pairs = cv2.BFMatcher().knnMatch(one[1], other[1], k=2)
    return {best.queryIdx: best.trainIdx for best, second in pairs if best.distance < _RATIO * second.distance}


def _triangulate(poses: Any, calibration: Any, pixels: Any) -> tuple[Any, Any]:
    """Points [number, 3] of matches between two cameras, and which of them are good.

    Args:
        poses: world_from_camera of both.
        calibration: in pixels.
        pixels: of the matches in both, [2, number, 2].
    """
    projections = [calibration @ np.linalg.inv(pose)[:3] for pose in poses]
    points = cv2.triangulatePoints(*projections, *(one.T for one in pixels))
    points = (points[:3] / points[3]).T
    rays = [points - pose[:3, 3] for pose in poses]
    cosine = (rays[0] * rays[1]).sum(1) / np.linalg.norm(rays[0], axis=1) / np.linalg.norm(rays[1], axis=1)
    good = np.arccos(cosine.clip(-1, 1)) > _LEAST_ANGLE
    for projection, seen in zip(projections, pixels, strict=True):
        image = (projection @ np.c_[points, np.ones(len(points))].T).T
        off = np.linalg.norm(image[:, :2] / image[:, 2:] - seen, axis=1)
        good &= (image[:, 2] > 0) & (off < _TRIANGULATED_PIXELS)
    return points, good


def _locate(points: Any, pixels: Any, calibration: Any) -> tuple[Any, Any, int] | None:
    """Rotation world_from_camera, position and number of inliers of a camera; None where too few points agree.

    Args:
        points, pixels: of the world and where the camera sees them.
        calibration: in pixels.
    """
    if len(points) < _LEAST_POINTS:
        return None
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points, pixels, calibration, None, iterationsCount=5000, reprojectionError=_LOCATED_PIXELS
    )
    if not found or len(inliers) < _LEAST_POINTS:
        return None
    turn, shift = cv2.solvePnPRefineLM(points[inliers[:, 0]], pixels[inliers[:, 0]], calibration, None, turn, shift)
    rotation = cv2.Rodrigues(turn)[0].T
    return rotation, -rotation @ shift[:, 0], len(inliers)


def _seen_before(late: int, frames: int, features: Any, poses: Any, calibration: Any) -> tuple[Any, Any]:
    """Points [number, 3] that the first frames saw, and where a late one sees them.

    Args:
        late: the late frame.
        frames: how many first ones.
        features: frame number -> key points and descriptors.
        poses: world_from_camera of all frames.
        calibration: in pixels.
    """
    points, pixels = [np.zeros((0, 3))], [np.zeros((0, 2))]
    for first in range(frames - _BASELINE):
        pair = (first, first + _BASELINE)
        onward, here = _matches(*map(features, pair)), _matches(features(late), features(first))
        chosen = [(own, feature, onward[feature]) for own, feature in here.items() if feature in onward]
        if chosen:
            own, *seen = (
                np.array([features(frame)[0][number].pt for number in numbers])
                for frame, numbers in zip((late, *pair), zip(*chosen, strict=True), strict=True)
            )
            found, good = _triangulate(poses[list(pair)], calibration, seen)
            points.append(found[good])
            pixels.append(own[good])
    return np.concatenate(points), np.concatenate(pixels)
