"""Numbers that a refactoring must not change: cameras, a rendered view, ten training steps of every configuration.

    python tools/golden_values.py --write tests/golden/values.json    # before
    python tools/golden_values.py --check tests/golden/values.json    # after: the largest differences, by name

It asks the checkout that it lies in, with one thread, about the sample clips: about three minutes. Numbers agree where
they differ by at most 1e-6 of the largest one of their group, or by 1e-4 where the order of float32 operations was
changed on purpose (`--tolerance 1e-4`).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "disabled"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

ROOT = Path(__file__).parents[1]
VIDEOS = ROOT / "data" / "walkthroughs"
CLIPS = {
    "test_0000": VIDEOS / "test" / "videos" / "test_0000_map24.mp4",
    "test_0004": VIDEOS / "test" / "videos" / "test_0004_map09.mp4",
    "validation": sorted((VIDEOS / "validation" / "videos").glob("*.mp4"))[0],
}
FRAMES = {"test_0000": 24, "test_0004": 40, "validation": 12}  # 40 frames are more than are solved at once
STEPS = 10
NEEDS_DOWNLOADS = {"paper_realestate10k"}  # RealEstate10K and VGG16's weights

Values = dict[str, list[float]]


def run(*arguments: object) -> None:
    """One command of video-ae, with one thread."""
    command = [sys.executable, "-m", "video_ae", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


def reconstruction(path: Path, frames: int, refine: int, with_views: bool) -> Values:
    """Poses, intrinsics and confidences of all frames; two rendered views of two of them, thinned."""
    import video_ae

    found = video_ae.reconstruct(path, frames=frames, refine=refine, device="cpu")
    values = {
        "poses": found.cameras.world_from_camera.flatten().tolist(),
        "intrinsics": found.cameras.intrinsics[0].tolist(),
        "confidence": found.confidence.tolist(),
    }
    if with_views:
        views = found.render(found.cameras.select([2, 7]))
        values["colours"] = views.rgb[:, :, ::8, ::8].flatten().tolist()
        values["opacity"] = views.opacity[:, ::8, ::8].flatten().tolist()
    return values


def training(config: Path, scratch: Path) -> Values:
    """The logged losses of ten steps and the norm of every tensor of the weights after them."""
    from safetensors.numpy import load_file

    out = scratch / config.stem
    run(
        "train", "--config", config, "--out", out, f"--trainer.max_steps={STEPS}", "--data.workers=0", "--seed=0",
        "--trainer.validate_every=10", "--trainer.checkpoint_every=10",
    )  # fmt: skip
    with next(out.rglob("metrics.csv")).open() as file:
        rows = list(csv.DictReader(file))
    names = sorted(name for name in rows[0] if "loss" in name or name.startswith(("train", "validation")))
    losses = {name: [float(row[name]) for row in rows if row.get(name)] for name in names if "second" not in name}
    weights = load_file(next(out.rglob("weights.safetensors")))
    norms = [float(np.linalg.norm(weights[name].astype(np.float64))) for name in sorted(weights)]
    return losses | {"weights": norms}


def measure() -> dict[str, Values]:
    """All groups of values, by name."""
    found: dict[str, Values] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for clip, path in CLIPS.items():
            for kind, refine in (("feed_forward", 0), ("refined", 2)):
                found[f"{clip} {kind}"] = reconstruction(path, FRAMES[clip], refine, clip == "validation")
                print(f"{clip} {kind}", flush=True)
        for config in sorted((ROOT / "configs").glob("*.yaml")):
            if config.stem not in NEEDS_DOWNLOADS:
                found[f"train {config.stem}"] = training(config, scratch)
                print(f"train {config.stem}", flush=True)
    return found


def compare(before: dict[str, Values], after: dict[str, Values], tolerance: float) -> bool:
    """Prints the largest relative difference of every group, and says whether all are within the tolerance."""
    good = True
    for group, values in before.items():
        for name, old in values.items():
            new = after.get(group, {}).get(name, [])
            if len(new) != len(old):
                print(f"{group} {name}: {len(old)} numbers before, {len(new)} after")
                good = False
                continue
            size = max((abs(number) for number in old), default=0.0) or 1.0
            difference = max((abs(a - b) for a, b in zip(old, new, strict=True)), default=0.0) / size
            good &= difference <= tolerance
            print(f"{group} {name}: {difference:.1e}{'' if difference <= tolerance else '  <-- differs'}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", type=Path, metavar="FILE")
    choice.add_argument("--check", type=Path, metavar="FILE")
    parser.add_argument("--tolerance", type=float, default=1e-6)
    given = parser.parse_args()
    found = measure()
    if given.write:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        given.write.write_text(json.dumps(found) + "\n")
    else:
        sys.exit(0 if compare(json.loads(given.check.read_text()), found, given.tolerance) else 1)


if __name__ == "__main__":
    main()
