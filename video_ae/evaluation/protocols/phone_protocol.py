"""The phone protocol: videos as phones leave them, whose truth is known in part.

A folder holds `eval/` and `hard/`, clips with true cameras; `originals/CLIP.mp4`, the file that a clip of `eval/` was
sampled from, by its timestamps; and `videos/CLIP.mp4`, of which those without cameras are walks that end where they
began. All are given as they are, without a focal length.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import torch

from video_ae.datasets.realestate10k_clips import RealEstate10K
from video_ae.evaluation.protocols.base import PoseEstimate, PoseEstimator, PoseObserver
from video_ae.evaluation.protocols.frozen_frames import FrozenIndices
from video_ae.evaluation.protocols.pose_protocol import PosesSettings, score_methods, score_poses
from video_ae.evaluation.protocols.running import Notify, Row, attempt
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.scene.source import SHORTER_SIDE
from video_ae.types import VideoClip
from video_ae.videos.load import load_clip
from video_ae.videos.open import open_video

ORIGINAL = ", original file"
Closing = Callable[[PoseEstimate, VideoClip, Path], float | None]
"""By how much of the path's length, in percent, a walk misses its start; None where nothing is seen again."""


def run_phone_protocol(
    root: Path,
    methods: Mapping[str, PoseEstimator],
    peers: Mapping[str, PoseEstimator],
    closing: Closing | None,
    settings: PosesSettings,
    observers: Sequence[PoseObserver] = (),
    progress: Notify = None,
) -> EvaluationResult:
    """Runs methods on all clips, and peers on those that have true cameras; each clip is a group.

    Args:
        root: the folder.
        methods: by name; the first is the one that is evaluated.
        peers: by name.
        closing: measures walks that end where they began; None leaves them out.
        settings, observers, progress: as in `run_pose_protocol`.

    Raises:
        UserError: the folder has no clips with true cameras.
    """
    rows: dict[str, dict[str, Row]] = {label: {} for label in (*methods, *peers)}
    sets = [RealEstate10K(root / part) for part in ("eval", "hard")]
    for dataset in sets:
        for label, found in score_methods(dataset, {**methods, **peers}, settings, observers, progress).items():
            rows[label] |= found
    known = {name for dataset in sets for name in dataset.names}
    for number, name in enumerate(sets[0].names):
        if (original := root / "originals" / f"{name}.mp4").is_file():
            for label, run in methods.items():
                _tell(progress, name + ORIGINAL)
                rows[label][name + ORIGINAL] = _of_original(original, sets[0], number, run, settings)
    for walk in sorted((root / "videos").glob("*.mp4")):
        if walk.stem not in known and closing is not None:
            for label, run in methods.items():
                _tell(progress, walk.stem)
                rows[label][walk.stem] = _of_walk(walk, run, closing)
    names = dict.fromkeys(clip for clips in rows.values() for clip in clips)
    return collect_result(
        "phone", asdict(settings), rows, frozen=FrozenIndices("", {}, groups={name: [name] for name in names})
    )


def _tell(progress: Notify, name: str) -> None:
    if progress:
        progress(name)


def _small(video: Path) -> VideoClip:
    """All frames of a video at the size that a model gets."""
    return load_clip(video, size=SHORTER_SIDE, as_bytes=True)


def _of_original(video: Path, dataset: RealEstate10K, number: int, run: PoseEstimator, settings: PosesSettings) -> Row:
    """The numbers of the file that a clip was sampled from, at the clip's own frames."""
    clip, stamps = _small(video), [float(stamp) / 1e6 for stamp in dataset.timestamps(number)]
    tried = attempt(run, clip)
    if tried.answer is None:
        return {"frames": len(clip)} | tried.cost | tried.failure
    times = torch.tensor(stamps, dtype=torch.float64)
    nearest = (clip.times[None].double() - times[:, None]).abs().argmin(1)
    found = tried.answer
    chosen = replace(
        found,
        cameras=found.cameras.select(nearest),
        confidence=None if found.confidence is None else found.confidence[nearest],
        covariance=None,  # relative to a first frame that is another one
    )
    row = score_poses(chosen, dataset.load(number, size=SHORTER_SIDE), settings)
    return row | {"frames": len(clip)} | tried.cost


def _of_walk(video: Path, run: PoseEstimator, closing: Closing) -> Row:
    """The numbers of a walk that ends where it began, whose cameras nobody knows."""
    clip = _small(video)
    tried = attempt(run, clip)
    if (found := tried.answer) is None:
        return {"frames": len(clip)} | tried.cost | tried.failure
    certain = None if found.confidence is None else found.confidence.mean().item()
    return {"frames": len(clip), "confidence": certain, "closing_percent": closing(found, clip, video)} | tried.cost


def closing_percent(found: PoseEstimate, clip: VideoClip, video: Path) -> float | None:
    """The median over the last frames that see what the first ones saw.

    Args:
        found: of the clip.
        clip: of the video.
        video: its file, whose frames are looked at at their own size.
    """
    from video_ae.evaluation.peers.closing_error import closing_errors  # brings OpenCV, an optional package

    errors = [one.percent for one in closing_errors(found.cameras, clip.indices, open_video(video)) if one]
    return median(errors) if errors else None
