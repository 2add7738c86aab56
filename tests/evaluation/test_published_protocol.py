"""The 2021 paper's protocol: each of its faults changes what it should, and it runs with the paper's model alone."""

import pytest
import torch
from evaluation_fakes import FakeSource

from video_ae.errors import UserError
from video_ae.evaluation import evaluate
from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.evaluation.protocols.published_protocol import COPYING, FAULTS, VideoPredictor, run_published_protocol
from video_ae.evaluation.tables import markdown_tables
from video_ae.models.open import build_model, save_weights


def oracle(source):
    """The true motion, and half of each frame's brightness."""

    def poses(seen):
        assert seen.cameras is None
        clip = next(clip for clip in source.clips if torch.equal(clip.frames[: len(seen)], seen.frames))
        return PoseEstimate(clip.cameras.select(slice(0, len(seen))))

    return VideoPredictor(lambda frames: torch.cat([frames[:1], frames[1:] / 2]), poses)


@pytest.fixture(scope="module")
def result():
    source = FakeSource((13, 6))
    return run_published_protocol(source, oracle(source), "oracle", (20, 16), frames=9)


def test_the_corrected_protocol_leaves_the_given_frame_out(result):
    frames = FakeSource((13, 6)).clips[0].frames[:9]
    row = result.result.clips["clip0"]
    assert row["frames"] == 8
    assert row["psnr"] == pytest.approx(psnr(frames[1:] / 2, frames[1:]).mean().item(), abs=1e-4)
    assert row["ate_rmse_over_extent"] == pytest.approx(0, abs=1e-6)
    assert row["rotation_deg"] == pytest.approx(0, abs=1e-3)


def test_each_fault_changes_its_own_numbers_alone(result):
    own = result.result.clips["clip0"]

    def changed(fault):
        row = result.baselines[f"oracle, {fault}"].clips["clip0"]
        return {name for name in ("psnr", "ate_rmse_over_extent", "rotation_deg") if abs(row[name] - own[name]) > 1e-3}

    assert set(FAULTS) == {label.removeprefix("oracle, ") for label in result.baselines if ", " in label} - {
        "as published"
    }
    counted = result.baselines["oracle, first frame counted"].clips["clip0"]
    assert counted["frames"] == 9
    assert counted["psnr"] > own["psnr"] + 5  # a copied frame scores 100
    assert changed("first frame counted") == {"psnr"}
    assert changed("read back from H.264") == {"psnr"}
    assert changed("poses inverted") == {"ate_rmse_over_extent", "rotation_deg"}
    assert "rotation_deg" in changed("composed from both sides")
    assert changed("first 20 videos dropped") == set()
    assert result.settings["note"] == "with 2 videos, none was dropped"
    published = result.baselines["oracle, as published"].clips["clip0"]
    assert published["frames"] == 9
    assert "ATE RMSE after Sim(3)" in markdown_tables(result.to_dict())


def test_the_first_twenty_of_many_videos_are_dropped():
    source = FakeSource((3,) * 22)
    dropped = run_published_protocol(source, COPYING, "copy", (20, 16), faults=["first 20 videos dropped"])
    counted = [row["frames"] for row in dropped.baselines["copy, first 20 videos dropped"].clips.values()]
    assert counted == [0] * 20 + [2] * 2
    assert all(row["frames"] == 2 for row in dropped.result.clips.values())


def test_failures_single_frames_and_missing_cameras_have_rows():
    def fails(frames):
        raise UserError("no")

    model = VideoPredictor(fails, COPYING.estimate_poses)
    rows = run_published_protocol(FakeSource(), model, "fails", (20, 16), frames=1, faults=()).result.clips
    assert rows["clip0"]["psnr"] is None
    assert rows["clip0"]["reasons"]["psnr"] == "the clip has one frame"
    failed = run_published_protocol(FakeSource(), model, "fails", (20, 16), faults=()).result.clips["clip0"]
    assert failed["failure"] == "no"
    assert failed["ate_rmse_over_extent"] == pytest.approx(1)
    source = FakeSource(with_cameras=False)
    bare = run_published_protocol(source, COPYING, "copy", (20, 16)).result.clips["clip0"]
    assert "ate_rmse" not in bare
    assert bare["psnr"] > 0


def test_unknown_faults_are_one_sentence():
    with pytest.raises(UserError, match="no fault 'typo': choose among first frame counted"):
        run_published_protocol(FakeSource(), COPYING, "copy", (20, 16), faults=["typo"])


def test_it_runs_with_the_papers_model_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "open_dataset", lambda data: _Sixteen())
    model = build_model(
        {
            "class_path": "PaperVideoAutoencoder",
            "init_args": {"width": 4, "image_size": [16, 16]},
        }
    )
    save_weights(model, tmp_path / "weights.safetensors")
    result = evaluate.evaluate_paper(tmp_path, tmp_path / "out", tmp_path / "weights.safetensors", frames=3)
    assert result.result.clips["clip0"]["frames"] == 2
    assert (tmp_path / "out" / "results.json").is_file()
    other = build_model({"class_path": "video_ae.lecture.plain.PlainAutoencoder", "init_args": {}})
    save_weights(other, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="needs its own model"):
        evaluate.evaluate_paper(tmp_path, tmp_path / "out2", tmp_path / "other.safetensors")


class _Sixteen(FakeSource):
    """The same clips, cut to 16 x 16 pixels."""

    def load(self, number, indices=None, size=None, fit="stretch"):
        clip = super().load(number, indices)
        return clip.__class__(**{**vars(clip), "frames": clip.frames[..., :16]})
