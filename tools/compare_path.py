"""How right a reconstructed path is: `python tools/compare_path.py RECONSTRUCTION CAMERAS`.

CAMERAS is a text file in RealEstate10K's layout. Each of its frames is compared with the frame of the reconstruction
that is nearest in time, or, with `--by-number` and where that was a folder of images, with the one of the same number.
Printed: trajectory error over the path's extent after alignment (Sim(3)), the mean rotation error over five of the
file's frames in degrees, and the focal length over the true one (of frames that were undistorted, it is theirs).
"""

import argparse
from pathlib import Path

import torch

from video_ae.errors import UserError
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, focal_ratio, pair_errors, pairs_apart
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.realestate10k import read_realestate10k


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reconstruction", type=Path, help="folder that `video-ae reconstruct` wrote")
    parser.add_argument("cameras", type=Path)
    parser.add_argument("--by-number", action="store_true", help="for a video whose times are not the file's")
    given = parser.parse_args()
    found, true = read_cameras_json(given.reconstruction / "cameras.json"), read_realestate10k(given.cameras)
    if given.by_number or found.times.isnan().any():
        numbers, cameras = list(range(len(found.times))), true.cameras.select(found.indices)
    else:
        times = torch.tensor([float(text) / 1e6 for text in true.timestamps], dtype=torch.float64)
        numbers, cameras = (times[:, None] - found.times).abs().argmin(1).tolist(), true.cameras
    path = found.cameras.select(numbers)
    error = absolute_trajectory_error(path.centers, cameras.centers).rmse_over_extent
    pairs = pair_errors(path.world_from_camera, cameras.world_from_camera, pairs_apart(len(path), 5))
    focal = focal_ratio(path.intrinsics, cameras.intrinsics)
    print(f"{len(path)} frames: trajectory {error:.4f}, rotation {pairs.mean_rotation:.2f} degrees, focal {focal:.3f}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"compare_path: {error}") from error
