"""The protocol of the 2021 paper (Lai, Liu, Efros and Wang, "Video Autoencoder", section 4): the first 30 frames of a
video from its first one, which is encoded again from the method's own prediction every twelve frames. The camera
encoder sees every target ("target-aware"). Frame 0 is given and not counted, frames are compared as tensors; the
authors counted it and read back compressed files, so their numbers are not comparable digit by digit.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.protocols.indices import find_frozen
from video_ae.evaluation.protocols.views import VIEW_METRICS, PictureMetric
from video_ae.evaluation.results import EvaluationResult, collect

FRAMES = 30
REENCODE_EVERY = 12

VideoPredictor = Callable[[Float[Tensor, "frame 3 height width"]], Float[Tensor, "frame 3 height width"]]


def repeat_first(frames: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame 3 height width"]:
    """The baseline: the first frame for ever."""
    return frames[:1].expand_as(frames)


def evaluate_videos(
    dataset: ClipSource,
    predictor: VideoPredictor,
    method: str,
    size: tuple[int, int],
    frames: int = FRAMES,
    metrics: Mapping[str, PictureMetric] = VIEW_METRICS,
    missing: Mapping[str, str] | None = None,
    progress: Callable[[str], object] | None = None,
) -> EvaluationResult:
    """Runs a method and `repeat_first` on the beginning of every clip, brought to `size` (width, height).

    Each row has the metrics' means over the frames after the first. The result's protocol is "onward video".
    missing: metrics that cannot be computed here and why; their numbers are null.
    """
    rows: dict[str, dict[str, dict[str, Any]]] = {method: {}, "first frame": {}}
    for i, name in enumerate(dataset.names):
        if progress:
            progress(name)
        clip = dataset.load(i, indices=range(min(frames, dataset.frame_count(i))), size=size)
        for label, run in ((method, predictor), ("first frame", repeat_first)):
            rows[label][name] = _row(run, clip.frames, metrics)
            if missing:
                row = rows[label][name]
                row |= dict.fromkeys(missing) | {"reasons": row.get("reasons", {}) | dict(missing)}
    settings = {"frames": frames, "size": list(size), "reencode_every": REENCODE_EVERY}
    frozen = find_frozen(dataset.names)
    return collect("onward video", method, settings | {"quarantined": dataset.quarantined}, rows, frozen=frozen)


def _row(run: VideoPredictor, frames: Tensor, metrics: Mapping[str, PictureMetric]) -> dict[str, Any]:
    start = time.perf_counter()
    row: dict[str, Any] = {"frames": len(frames) - 1}
    try:
        predicted = run(frames).detach().to("cpu", torch.float32).nan_to_num(0.5, 0.5, 0.5).clamp(0, 1)
    except UserError as error:
        predicted, row["failure"] = torch.full_like(frames, 0.5), str(error)
    row["seconds"] = time.perf_counter() - start
    pairs = list(zip(predicted[1:, None], frames[1:, None], strict=True))
    if not pairs:
        return row | dict.fromkeys(metrics) | {"reasons": dict.fromkeys(metrics, "the clip has one frame")}
    return row | {name: statistics.fmean(metric(*pair).item() for pair in pairs) for name, metric in metrics.items()}
