"""Writes what evo and scikit-image say about some made-up trajectories and pictures, for the tests to compare with.

    python tools/make_metric_oracle.py tests/evaluation/metric_oracle.json

Needs evo (GPL-3) and scikit-image, which nothing else here needs: run it in an environment of its own. The inputs stand
in the file too, so that the tests need neither.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from evo.core import metrics
from evo.core.lie_algebra import so3_exp
from evo.core.trajectory import PosePath3D
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

FRAMES = 30


def trajectory(generator: np.random.Generator, turns: float, steps: np.ndarray) -> np.ndarray:
    """Rigid world_from_camera matrices of a random walk."""
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    for i in range(1, FRAMES):
        poses[i] = poses[i - 1]
        poses[i, :3, :3] = poses[i - 1, :3, :3] @ so3_exp(turns * generator.normal(size=3))
        poses[i, :3, 3] += poses[i, :3, :3] @ (steps * (1 + 0.3 * generator.normal(size=3)))
    return poses


def perturbed(generator: np.random.Generator, poses: np.ndarray, turn: float, shift: float) -> np.ndarray:
    """The same path in another world, three times as large, with errors that grow slowly."""
    found, world = poses.copy(), so3_exp(np.array([0.4, -1.1, 0.7]))
    drift = np.cumsum(shift * generator.normal(size=(FRAMES, 3)), 0)
    for i in range(FRAMES):
        found[i, :3, :3] = world @ poses[i, :3, :3] @ so3_exp(turn * generator.normal(size=3))
        found[i, :3, 3] = 3 * world @ (poses[i, :3, 3] + drift[i]) + np.array([5.0, -2.0, 1.0])
    return found


def by_evo(true: np.ndarray, found: np.ndarray, scale: bool) -> dict:
    truth, path = PosePath3D(poses_se3=list(true)), PosePath3D(poses_se3=list(found))
    path.align(truth, correct_scale=scale)
    values = {}
    absolute = metrics.APE(metrics.PoseRelation.translation_part)
    absolute.process_data((truth, path))
    for name in ("rmse", "mean", "max"):
        values[f"ate_{name}"] = absolute.get_statistic(metrics.StatisticsType[name])
    for gap in (1, 5):
        for part, relation in (("translation", "translation_part"), ("rotation", "rotation_angle_deg")):
            relative = metrics.RPE(
                metrics.PoseRelation[relation], delta=gap, delta_unit=metrics.Unit.frames, all_pairs=True
            )
            relative.process_data((truth, path))
            values[f"rpe_{gap}_{part}_rmse"] = relative.get_statistic(metrics.StatisticsType.rmse)
    return values


def pictures(generator: np.random.Generator) -> list[dict]:
    cases = []
    for height, width, noise in ((16, 24, 0.02), (19, 21, 0.2), (24, 16, 0.6)):
        y, x = np.mgrid[:height, :width] / 10
        first = np.stack([0.5 + 0.4 * np.sin((1 + c) * x + y) for c in range(3)], -1)
        second = np.clip(first + noise * generator.normal(size=first.shape), 0, 1)
        first, second = np.round(first, 3), np.round(second, 3)
        cases.append({
            "first": first.tolist(), "second": second.tolist(),
            "psnr": peak_signal_noise_ratio(first, second, data_range=1.0),
            "ssim": structural_similarity(
                first, second, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
                channel_axis=-1,
            ),
        })  # fmt: skip
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    cases = []
    for turns, steps in ((0.05, (0.1, 0.0, 1.0)), (0.3, (0.5, 0.2, 0.5)), (0.1, (1.0, 0.0, 0.0))):
        true = np.round(trajectory(generator, turns, np.array(steps)), 12)
        for turn, shift in ((0.001, 0.01), (0.1, 0.5)):
            found = np.round(perturbed(generator, true, turn, shift), 12)
            values = {"sim3": by_evo(true, found, True), "se3": by_evo(true, found, False)}
            cases.append({"true": true[:, :3].tolist(), "found": found[:, :3].tolist(), "evo": values})
    made_by = {name: version(name) for name in ("evo", "scikit-image", "numpy")}
    content = {"made_by": made_by, "trajectories": cases, "pictures": pictures(generator)}
    arguments.out.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
