"""Time and error of the camera solver beside an older commit and COLMAP, in one run on the same frames.

    python scripts/benchmark_cameras.py                                   # walk-throughs with exact cameras
    python scripts/benchmark_cameras.py --root $REAL_CLIPS/eval --against 73fe9c0 --peers --out cameras.json

Every method runs in a process of its own with one thread; the methods take turns, `--runs` times, and each clip counts
with its median CPU seconds. A first clip is solved and not counted. Errors are taken after a similarity alignment.
Commits before 73fe9c0 have another interface and cannot be compared by this script.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GAP = 5  # frames between which rotation and direction are compared
COLUMNS = ("CPU s", "ATE/extent", "rotation deg", "direction deg", "focal %")


def errors(poses, focal_over_width: float, clip) -> list[float]:
    """ATE over the trajectory's extent, rotation and direction in degrees over 5 frames, focal length in percent.

    Args:
        poses: found, world_from_camera: [frame, 4, 4].
        focal_over_width: found.
        clip: with its true cameras.
    """
    import torch

    from video_ae.geometry.se3 import invert, rotation_angle
    from video_ae.geometry.umeyama import align

    found, truth = poses.double(), clip.cameras.world_from_camera.double()
    extent = (truth[:, :3, 3] - truth[:, :3, 3].mean(0)).norm(dim=-1).square().mean().sqrt()
    aligned = align(found[:, :3, 3], truth[:, :3, 3]).apply(found[:, :3, 3])
    ate = (aligned - truth[:, :3, 3]).square().sum(-1).mean().sqrt() / extent
    a, b = (invert(one[:-GAP]) @ one[GAP:] for one in (found, truth))
    turn = torch.rad2deg(rotation_angle(a[:, :3, :3].mT @ b[:, :3, :3])).mean()
    cosine = torch.nn.functional.cosine_similarity(a[:, :3, 3], b[:, :3, 3], dim=-1).clamp(-1, 1)
    ratio = focal_over_width / clip.cameras.intrinsics[0, 0].item()
    return [ate.item(), turn.item(), torch.rad2deg(cosine.acos()).mean().item(), 100 * abs(ratio - 1)]


def solver(refine_steps: int) -> Callable:
    """The camera solver of the package that is imported: clip -> (poses, focal length over width).

    Args:
        refine_steps: rounds of refinement.
    """
    from video_ae.camera.solver import CameraSolver

    solve = CameraSolver().solve

    def run(clip):
        cameras = solve(clip.frames, None, refine_steps).cameras
        return cameras.world_from_camera, cameras.intrinsics[0, 0].item()

    return run


def colmap() -> Callable:
    """COLMAP without a focal length: clip -> (poses, focal length over width)."""
    from dataclasses import replace

    from video_ae.evaluation.peers.colmap_sfm import Colmap

    estimator = Colmap()

    def run(clip):
        cameras = estimator(replace(clip, cameras=None)).cameras
        return cameras.world_from_camera, cameras.intrinsics[0, 0].item()

    return run


def measure(method: str, root: str, first: int, frames: int) -> dict[str, list[float]]:
    """One process: clip -> CPU seconds and errors (none where the method finds nothing).

    Args:
        method: "colmap", or rounds of refinement.
        root: of the data set.
        first, frames: of each clip.
    """
    import torch

    from video_ae.datasets.open import open_dataset
    from video_ae.errors import UserError
    from video_ae.evaluation.protocols.running import cpu_seconds

    torch.set_num_threads(1)
    data = open_dataset(root)
    clips = [data.load(i).select(slice(first, first + frames)) for i in range(len(data))]
    run, rows = colmap() if method == "colmap" else solver(int(method)), {}
    for number, clip in enumerate([clips[0], *clips]):
        begin, found = cpu_seconds(), None
        try:
            found = run(clip)
        except UserError as error:
            print(f"{clip.name}: {error}", file=sys.stderr)
        seconds = cpu_seconds() - begin
        if number:
            rows[clip.name] = [seconds, *(errors(*found, clip) if found else [float("nan")] * 4)]
    return rows


def in_process(method: str, package: Path, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """`measure` with the package of a checkout.

    Args:
        method: as in `measure`.
        package: the checkout.
        arguments: of the command.
    """
    command = [sys.executable, __file__, "--measure", method, "--root", str(Path(arguments.root).resolve())]
    command += ["--first", str(arguments.first), "--frames", str(arguments.frames)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    others = os.environ.get("PYTHONPATH", "")
    environment = os.environ | threads | {"PYTHONPATH": f"{package}{os.pathsep}{others}"}
    ran = subprocess.run(command, cwd=package, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def compare(arguments: argparse.Namespace, older: Path | None) -> dict[str, dict[str, list[float]]]:
    """Method -> clip -> CPU seconds (median over the runs) and errors.

    Args:
        arguments: of the command.
        older: checkout of the older commit.
    """
    methods = {}
    for steps in arguments.refine_steps:
        label = f"refined {steps}" if steps else "feed-forward"
        methods[label] = (str(steps), ROOT)
        if older is not None:
            methods[f"{label}, {arguments.against}"] = (str(steps), older)
    if arguments.peers:
        methods["COLMAP"] = ("colmap", ROOT)
    runs: dict[str, list[dict[str, list[float]]]] = {name: [] for name in methods}
    for number in range(arguments.runs):
        for name, (method, package) in methods.items():
            print(f"run {number + 1} of {arguments.runs}: {name}", file=sys.stderr)
            runs[name].append(in_process(method, package, arguments))
    return {
        name: {clip: [statistics.median(one[clip][0] for one in rows), *rows[0][clip][1:]] for clip in rows[0]}
        for name, rows in runs.items()
    }


def median_ratio(mine: dict[str, list[float]], other: dict[str, list[float]]) -> float:
    """Median over the clips of the ratio of CPU seconds.

    Args:
        mine, other: clip -> CPU seconds and errors.
    """
    return statistics.median(mine[clip][0] / other[clip][0] for clip in mine)


def main() -> None:
    """Measures, or is one of the measuring processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=str(ROOT / "data/walkthroughs/validation"), help="a data set with cameras")
    parser.add_argument("--first", type=int, default=0, help="frame that each clip begins with")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--refine-steps", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--against", help="an older commit, which is checked out beside")
    parser.add_argument("--peers", action="store_true", help="COLMAP as well (pycolmap must be installed)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON of all numbers")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.root, arguments.first, arguments.frames)))
        return
    with tempfile.TemporaryDirectory() as folder:
        older = Path(folder) / "older" if arguments.against else None
        if older:
            git = ["git", "-C", str(ROOT), "worktree"]
            subprocess.run([*git, "add", "--quiet", "--detach", str(older), arguments.against], check=True)
        try:
            results = compare(arguments, older)
        finally:
            if older:
                subprocess.run([*git, "remove", "--force", str(older)], check=True)
    print(f"{'method':32}" + "".join(f"{column:>15}" for column in COLUMNS) + "   ratio of CPU s to each (median)")
    for name, rows in results.items():
        row = [statistics.median(column) for column in zip(*rows.values(), strict=True)]
        ratios = ", ".join(f"{other} {median_ratio(rows, results[other]):.2f}" for other in results if other != name)
        print(f"{name:32}" + "".join(f"{value:15.4f}" for value in row) + f"   {ratios}")
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
