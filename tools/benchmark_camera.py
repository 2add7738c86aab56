"""Time and error of the camera encoder on walk-throughs with exact cameras: `python tools/benchmark_camera.py`.

CPU seconds of this process, median over clips after one warm-up; errors after a similarity alignment. The last column
sets each variant against the first one. `--each` also prints every clip; `--first 22` takes later frames, among them a
walk along one repeated texture.
"""

import argparse
import statistics
import time

import torch

from video_ae.camera.solver import CameraSolver
from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.geometry.se3 import invert, rotation_angle
from video_ae.geometry.umeyama import align
from video_ae.types import CameraEstimate, VideoClip

_GAP = 5  # frames between which rotation and direction are compared


def errors(estimate: CameraEstimate, clip: VideoClip) -> list[float]:
    """ATE over the trajectory's extent, rotation and direction in degrees over 5 frames, focal length in percent."""
    found = estimate.cameras.world_from_camera[0].double()
    truth = clip.cameras.world_from_camera.double()
    extent = (truth[:, :3, 3] - truth[:, :3, 3].mean(0)).norm(dim=-1).square().mean().sqrt()
    aligned = align(found[:, :3, 3], truth[:, :3, 3]).apply(found[:, :3, 3])
    ate = (aligned - truth[:, :3, 3]).square().sum(-1).mean().sqrt() / extent
    a, b = (invert(poses[:-_GAP]) @ poses[_GAP:] for poses in (found, truth))
    turn = torch.rad2deg(rotation_angle(a[:, :3, :3].mT @ b[:, :3, :3])).mean()
    cosine = torch.nn.functional.cosine_similarity(a[:, :3, 3], b[:, :3, 3], dim=-1).clamp(-1, 1)
    ratio = estimate.cameras.intrinsics[0, 0, 0] / clip.cameras.intrinsics[0, 0]
    return [ate.item(), turn.item(), torch.rad2deg(cosine.acos()).mean().item(), 100 * abs(ratio.item() - 1)]


def measure(clips: list[VideoClip], refine_steps: int) -> list[list[float]]:
    """A row per clip, after a warm-up on the first one: CPU seconds, then the errors."""
    encoder = CameraSolver()
    rows = []
    for clip in [clips[0], *clips]:
        begin = time.process_time()
        estimate = encoder(clip.frames[None])
        if refine_steps:
            estimate = encoder.refine(clip.frames[None], estimate, refine_steps)
        rows.append([time.process_time() - begin, *errors(estimate, clip)])
    return rows[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="data/walkthroughs/validation", help="RealEstate10K layout with true cameras")
    parser.add_argument("--first", type=int, default=0, help="frame that each clip begins with")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--each", action="store_true", help="also print every clip's row")
    parser.add_argument("--refine-steps", type=int, nargs="+", default=[0, 1, 2, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = RealEstate10K(arguments.root)
    clips = [data.load(i).select(slice(arguments.first, arguments.first + arguments.frames)) for i in range(len(data))]
    print("rounds  CPU s  ATE/extent  rotation deg  direction deg  focal %  time ratio")
    first = None
    for steps in arguments.refine_steps:
        rows = measure(clips, steps)
        for clip, row in zip(clips, rows, strict=True) if arguments.each else []:
            print("{:6d} {:6.1f} {:11.4f} {:13.3f} {:14.2f} {:8.2f}             {}".format(steps, *row, clip.name))
        row = [statistics.median(column) for column in zip(*rows, strict=True)]
        first = first or row[0]
        print("{:6d} {:6.1f} {:11.4f} {:13.3f} {:14.2f} {:8.2f} {:11.2f}".format(steps, *row, row[0] / first))


if __name__ == "__main__":
    main()
