"""Trains a small model, reconstructs a clip that it has never seen, and says how far the cameras are from the truth.

    python scripts/demo.py --out demo

Needs no GPU and no download: training and test clips are in the repository.
"""

import argparse
import sys
import time
from pathlib import Path

from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.evaluation.baselines import POSE_BASELINES
from video_ae.evaluation.metrics.pose_errors import absolute_trajectory_error, pair_errors, pairs_apart
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.pipelines.reconstruct import reconstruct_video
from video_ae.training.config import parse_run
from video_ae.training.train import train
from video_ae.types import Cameras, VideoClip

ROOT = Path(__file__).parents[1]
PAIR_GAP = 5  # frames


def trained(config: Path, run: Path, seed: int) -> Path:
    """Trains from scratch on the sample clips, as `video-ae train` does, and returns the run.

    Args:
        config: YAML of the run.
        run: folder to write.
        seed: of the weights and of the order of the clips.
    """
    data = ROOT / "data" / "walkthroughs" / "train"
    say(f"1. Training on {data.relative_to(ROOT)}: video-ae train --config {config} --out {run} --seed {seed}")
    started = time.perf_counter()
    arguments = ["--config", str(config), "--data.root", str(data), "--out", str(run), "--seed", str(seed)]
    train(parse_run([*arguments, "--overwrite"]))
    say(f"   took {time.perf_counter() - started:.0f} s")
    return run


def reconstructed(video: Path, run: Path, out: Path) -> Path:
    """Reconstructs a clip with the new weights, as `video-ae reconstruct` does, and returns the folder.

    Args:
        video: the clip.
        run: folder of the training run.
        out: folder to write.
    """
    say(f"2. Reconstructing a clip it has not seen: video-ae reconstruct {video} --out {out} --weights {run}")
    started = time.perf_counter()
    reconstruct_video(video, out, run, overwrite=True)
    say(f"   took {time.perf_counter() - started:.0f} s")
    return out


def errors(cameras: Cameras, clip: VideoClip) -> tuple[float, float]:
    """Trajectory error over extent after Sim(3), and mean rotation error in degrees of pairs 5 frames apart.

    Args:
        cameras: estimated.
        clip: with true cameras.
    """
    assert clip.cameras is not None, "the demo's clips come with their true cameras"
    found, true = cameras.world_from_camera.double(), clip.cameras.world_from_camera.double()
    trajectory = absolute_trajectory_error(found[:, :3, 3], true[:, :3, 3])
    rotation = pair_errors(found, true, pairs_apart(len(clip), PAIR_GAP)).mean_rotation
    assert trajectory is not None
    assert trajectory.rmse_over_extent is not None
    assert rotation is not None
    return trajectory.rmse_over_extent, rotation


def report(out: Path, clip: VideoClip) -> None:
    """Prints what was written and how good the cameras are, beside methods that look at nothing.

    Args:
        out: folder of the reconstruction.
        clip: with true cameras.
    """
    track = read_cameras_json(out / "cameras.json")
    found = errors(track.cameras, clip)
    line = errors(POSE_BASELINES["straight line"](clip).cameras, clip)
    still = errors(POSE_BASELINES["standing still"](clip).cameras, clip)
    true_focal = clip.cameras.intrinsics[0, 0].item() if clip.cameras is not None else float("nan")
    say(f"3. {out} holds:")
    say("   overview.png          one image that shows what was found")
    say("   reconstruction.mp4    the clip, and beside it what the model renders from its 3D structure")
    say("   novel_view.mp4        the scene from a new path")
    say("   cameras.json, cameras_tum.txt, points.ply, summary.json")
    say(f"4. The cameras of {clip.name} ({len(clip)} frames) against the truth, which the model never saw:")
    say(f"   position: {100 * found[0]:.0f} % of the path's extent off (ATE RMSE after Sim(3));")
    say(f"             assuming a straight line: {100 * line[0]:.0f} %")
    say(f"   rotation: {found[1]:.2f} degrees off in {PAIR_GAP} frames; assuming none: {still[1]:.2f} degrees")
    say(f"   focal length: {track.cameras.intrinsics[0, 0].item():.2f} widths; true: {true_focal:.2f}")
    good = found[0] < line[0] and found[1] < still[1] / 2
    say("   Better than a straight line, and less than half the rotation missed." if good else "   That is not good.")


def say(text: str) -> None:
    """Prints a line at once.

    Args:
        text: the line.
    """
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code.

    Args:
        arguments: its words (default: those of the program).
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder of everything that is written")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quickstart.yaml")
    parser.add_argument("--clip", type=int, default=0, help="which of the test clips (default 0)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        test = ROOT / "data" / "walkthroughs" / "test"
        source = open_dataset(test)
        clip = source.load(options.clip)
        run = trained(options.config, options.out / "run", options.seed)
        video = next((test / "videos").glob(f"{clip.name}.*"))
        report(reconstructed(video, run, options.out / "reconstruction"), clip)
    except UserError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
