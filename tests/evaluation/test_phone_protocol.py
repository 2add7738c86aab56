"""The phone protocol: clips with true cameras, the files that they were sampled from, and walks that close."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.evaluation.protocols.phone_protocol import run_phone_protocol
from video_ae.evaluation.protocols.pose_protocol import PosesSettings
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.types import Cameras, VideoClip
from video_ae.videos.writer import write_video

FRAMES, EVERY, RATE = 24, 3, 20.0
FOCAL = 0.9


def path(frames: int = FRAMES) -> torch.Tensor:
    """world_from_camera of a bent path."""
    time = torch.arange(frames, dtype=torch.float64)[:, None]
    return se3_exp(torch.cat([0.01 * time, 0.03 * time.sin(), 0 * time, 0.1 * time, 0.02 * time, 0.1 * time.cos()], 1))


@pytest.fixture
def clips(tmp_path) -> Path:
    """`eval/toy`, every third frame of `originals/toy.mp4`; `hard/box`; `videos/toy.mp4`, `videos/walk.mp4`."""
    picture = torch.zeros(3, 32, 32, dtype=torch.uint8)
    for part, name, numbers in (("eval", "toy", range(0, FRAMES, EVERY)), ("hard", "box", range(0, FRAMES, EVERY))):
        lines = ["source"]
        (tmp_path / part / "frames" / name).mkdir(parents=True)
        (tmp_path / part / "cameras").mkdir()
        for number in numbers:
            stamp, pose = round(1e6 * number / RATE), invert(path()[number])[:3].flatten().tolist()
            lines.append(f"{stamp} {FOCAL} {FOCAL} 0.5 0.5 0 0 {' '.join(map(str, pose))}")
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / part / "frames" / name / f"{stamp}.jpg")
        (tmp_path / part / "cameras" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    for part, name in (("originals", "toy"), ("videos", "toy"), ("videos", "walk")):
        write_video(tmp_path / part / f"{name}.mp4", [picture] * FRAMES, RATE)
    return tmp_path


def knows(clip: VideoClip) -> PoseEstimate:
    """A method that knows the path of all frames, in a scale and world of its own, and takes others for the first."""
    assert clip.cameras is None
    chosen = clip.indices if len(clip) == FRAMES else EVERY * clip.indices
    poses = path(FRAMES)[chosen].clone()
    poses[:, :3, 3] *= 2
    intrinsics = torch.tensor([1.1 * FOCAL, 1.1 * FOCAL, 0.5, 0.5], dtype=torch.float64).expand(len(clip), 4)
    return PoseEstimate(Cameras(poses, intrinsics), torch.full((len(clip),), 0.7))


def test_all_kinds_of_clips_have_their_numbers(clips):
    def closing(found: PoseEstimate, clip: VideoClip, video: Path) -> float:
        assert (len(found.cameras), video.name) == (FRAMES, "walk.mp4")
        return 2.5

    result = run_phone_protocol(clips, {"knows": knows}, {"peer": knows}, closing, PosesSettings())
    rows = result.result.clips
    assert list(rows) == ["toy", "box", "toy, original file", "walk"]
    assert rows["toy, original file"]["frames"] == FRAMES
    for name in ("toy", "toy, original file"):
        assert rows[name]["ate_rmse_over_extent"] == pytest.approx(0, abs=1e-6)
        assert rows[name]["focal_error_percent"] == pytest.approx(10, abs=1e-3)
    assert rows["walk"] == rows["walk"] | {"frames": FRAMES, "confidence": pytest.approx(0.7), "closing_percent": 2.5}
    assert list(result.baselines["peer"].clips) == ["toy", "box"]
    assert list(result.result.groups) == list(rows)


def test_the_original_is_scored_at_the_frames_of_its_clip(clips):
    def late(clip: VideoClip) -> PoseEstimate:
        found = knows(clip)
        if len(clip) < FRAMES:
            return found
        poses = found.cameras.world_from_camera.clone()
        poses[torch.arange(FRAMES) % EVERY != 0] = torch.eye(4, dtype=torch.float64)  # which nobody asks for
        return replace(found, cameras=replace(found.cameras, world_from_camera=poses))

    result = run_phone_protocol(clips, {"late": late}, {}, None, PosesSettings())
    assert list(result.result.clips) == ["toy", "box", "toy, original file"]
    assert result.result.clips["toy, original file"]["ate_rmse_over_extent"] == pytest.approx(0, abs=1e-6)
