"""The 2021 paper's protocol: the first frame is not counted, failures are, and it runs with the paper's model."""

import pytest
import torch
from evaluation_fakes import FakeSource

from video_ae.checkpoints import build_model, save_weights
from video_ae.errors import UserError
from video_ae.evaluation import run_scenes
from video_ae.evaluation.metrics.images import psnr
from video_ae.evaluation.protocols.onward_video import evaluate_videos
from video_ae.evaluation.tables import markdown


def test_the_first_frame_is_not_counted():
    def nearly(frames):
        return torch.cat([torch.zeros_like(frames[:1]), frames[1:]])

    result = evaluate_videos(FakeSource(), nearly, "nearly", (20, 16), frames=5)
    assert result.result.clips["clip0"]["frames"] == 4
    assert result.result.mean["psnr"] == 100
    frames = FakeSource().clips[0].frames[:5]
    by_hand = psnr(frames[:1].expand(4, -1, -1, -1), frames[1:]).mean().item()
    assert result.baselines["first frame"].clips["clip0"]["psnr"] == pytest.approx(by_hand, abs=1e-4)
    assert "PSNR, dB, whole frame, after the first" in markdown(result.to_dict())


def test_failures_and_single_frames_have_rows():
    def fails(frames):
        raise UserError("no")

    rows = evaluate_videos(FakeSource(), fails, "fails", (20, 16), frames=1).result.clips
    assert rows["clip0"]["psnr"] is None
    assert rows["clip0"]["reasons"]["psnr"] == "the clip has one frame"
    assert evaluate_videos(FakeSource(), fails, "fails", (20, 16)).result.clips["clip0"]["failure"] == "no"


def test_it_runs_with_the_papers_model_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(run_scenes, "open_dataset", lambda data: _Sixteen())
    model = build_model(
        {"class_path": "video_ae.models.paper.PaperVideoAutoencoder", "init_args": {"width": 4, "image_size": [16, 16]}}
    )
    save_weights(model, tmp_path / "weights.safetensors")
    result = run_scenes.evaluate_paper(tmp_path, tmp_path / "out", tmp_path / "weights.safetensors", frames=3)
    assert result.result.clips["clip0"]["frames"] == 2
    assert (tmp_path / "out" / "results.json").is_file()
    other = build_model({"class_path": "video_ae.models.plain_autoencoder.PlainAutoencoder", "init_args": {}})
    save_weights(other, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="needs its own model"):
        run_scenes.evaluate_paper(tmp_path, tmp_path / "out2", tmp_path / "other.safetensors")


class _Sixteen(FakeSource):
    """The same clips, cut to 16 x 16 pixels."""

    def load(self, number, indices=None, size=None, fit="stretch"):
        clip = super().load(number, indices)
        return clip.__class__(**{**vars(clip), "frames": clip.frames[..., :16]})
