"""Where a walk ends that comes back to its start: `python tools/closing_error.py RECONSTRUCTION VIDEO`.

Frames at the end that see what the first ones saw are located anew by what the reconstruction does not use: SIFT
matches with the first frames, triangulated in their cameras, and PnP. Printed for each: how far from there the path
has it, in percent of the path's length, and by how many degrees it is rotated. Of distorted frames the lens is not
taken away. Needs `pip install -e '.[peers]'`.
"""

import argparse
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.videos.open import open_video

RATIO, BASELINE = 0.8, 3  # of Lowe's test; frames between the two views of a triangulation
TRIANGULATED_PIXELS, LOCATED_PIXELS = 1.5, 4.0
LEAST_ANGLE, LEAST_POINTS = np.deg2rad(0.7), 30


def matches(one: Any, other: Any) -> dict[int, int]:
    """Numbers of the features of one frame -> those of another.

    Args:
        one, other: (key points, descriptors).
    """
    pairs = cv2.BFMatcher().knnMatch(one[1], other[1], k=2)
    return {best.queryIdx: best.trainIdx for best, second in pairs if best.distance < RATIO * second.distance}


def triangulate(poses: Any, calibration: Any, pixels: Any) -> tuple[Any, Any]:
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
    good = np.arccos(cosine.clip(-1, 1)) > LEAST_ANGLE
    for projection, seen in zip(projections, pixels, strict=True):
        image = (projection @ np.c_[points, np.ones(len(points))].T).T
        off = np.linalg.norm(image[:, :2] / image[:, 2:] - seen, axis=1)
        good &= (image[:, 2] > 0) & (off < TRIANGULATED_PIXELS)
    return points, good


def locate(points: Any, pixels: Any, calibration: Any) -> tuple[Any, Any, int] | None:
    """Rotation world_from_camera, position and number of inliers of a camera; None where too few points agree.

    Args:
        points, pixels: of the world and where the camera sees them.
        calibration: in pixels.
    """
    if len(points) < LEAST_POINTS:
        return None
    found, turn, shift, inliers = cv2.solvePnPRansac(
        points, pixels, calibration, None, iterationsCount=5000, reprojectionError=LOCATED_PIXELS
    )
    if not found or len(inliers) < LEAST_POINTS:
        return None
    turn, shift = cv2.solvePnPRefineLM(points[inliers[:, 0]], pixels[inliers[:, 0]], calibration, None, turn, shift)
    rotation = cv2.Rodrigues(turn)[0].T
    return rotation, -rotation @ shift[:, 0], len(inliers)


def seen_before(late: int, frames: int, features: Any, poses: Any, calibration: Any) -> tuple[Any, Any]:
    """Points [number, 3] that the first frames saw, and where a late one sees them.

    Args:
        late: the late frame.
        frames: how many first ones.
        features: frame number -> key points and descriptors.
        poses: world_from_camera of all frames.
        calibration: in pixels.
    """
    points, pixels = [np.zeros((0, 3))], [np.zeros((0, 2))]
    for first in range(frames - BASELINE):
        pair = (first, first + BASELINE)
        onward, here = matches(*map(features, pair)), matches(features(late), features(first))
        chosen = [(own, feature, onward[feature]) for own, feature in here.items() if feature in onward]
        if chosen:
            own, *seen = (
                np.array([features(frame)[0][number].pt for number in numbers])
                for frame, numbers in zip((late, *pair), zip(*chosen, strict=True), strict=True)
            )
            found, good = triangulate(poses[list(pair)], calibration, seen)
            points.append(found[good])
            pixels.append(own[good])
    return np.concatenate(points), np.concatenate(pixels)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reconstruction", type=Path, help="folder that `video-ae reconstruct` wrote")
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=16, help="frames at the start, and half as many at the end")
    given = parser.parse_args()
    found, reader = read_cameras_json(given.reconstruction / "cameras.json"), open_video(given.video)
    poses = found.cameras.world_from_camera.double().numpy()
    (fx, fy, cx, cy), (width, height) = found.cameras.intrinsics[0].tolist(), reader.image_size
    calibration = np.array([[fx * width, 0, cx * width], [0, fy * height, cy * height], [0, 0, 1]])
    length = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum()

    @cache
    def features(frame: int) -> Any:
        image = reader.read([int(found.indices[frame])])[0].permute(1, 2, 0).numpy()
        return cv2.SIFT_create(4000, contrastThreshold=0.01).detectAndCompute(image, None)

    for late in range(len(poses) - given.frames // 2, len(poses)):
        located = locate(*seen_before(late, given.frames, features, poses, calibration), calibration)
        if located is None:
            print(f"frame {late}: too little of what the first frames saw")
            continue
        rotation, position, inliers = located
        off = 100 * np.linalg.norm(position - poses[late][:3, 3]) / length
        turn = np.rad2deg(np.arccos(((np.trace(rotation.T @ poses[late][:3, :3]) - 1) / 2).clip(-1, 1)))
        print(f"frame {late}: {off:.2f} % of the path's length off, {turn:.1f} degrees ({inliers} points)")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"closing_error: {error}") from error
