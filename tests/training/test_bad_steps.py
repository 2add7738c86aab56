"""Gradients that are no numbers: the step is skipped and counted; many in a row end the training with a sentence."""

import csv
import math

import pytest
import torch
from interruptions import same, weights
from tiny_model import TinyAutoencoder

from video_ae.errors import UserError
from video_ae.training import module
from video_ae.training.config import parse_run
from video_ae.training.train import train


@pytest.fixture
def breaking(monkeypatch):
    """A function: the training steps, counted from 1, in which the model renders NaN or another value."""

    def break_in(steps, value=math.nan):
        forward, calls = TinyAutoencoder.forward, []

        def broken(self, clip):
            output = forward(self, clip)
            if self.training:
                calls.append(None)
                if len(calls) in steps:
                    output.frames.mul_(value)
            return output

        monkeypatch.setattr(TinyAutoencoder, "forward", broken)

    return break_in


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bad_step_changes_nothing_and_is_counted(arguments, tmp_path, breaking, value):
    common = [*arguments, "--model.noise=0", "--optimizer.warmup_steps=0"]
    seven = train(parse_run([*common, "--trainer.max_steps=7", "--out", str(tmp_path / "seven")]))
    breaking({8}, value)
    run = train(parse_run(common))
    assert same(weights(seven), weights(run))
    with open(run / "metrics" / "version_0" / "metrics.csv") as file:
        counts = [row["train/skipped_steps"] for row in csv.DictReader(file) if row["train/skipped_steps"]]
    assert [float(count) for count in counts] == [0] * 7 + [1]


def test_many_in_a_row_end_the_run_and_name_clips_and_terms(arguments, tmp_path, breaking, monkeypatch):
    monkeypatch.setattr(module, "BAD_STEPS_IN_A_ROW", 3)
    breaking({5, 6, 7, 8})
    with pytest.raises(UserError, match=r"last 3 steps .* \(last clips: wave.*; not finite: l1, edges, loss, psnr\)"):
        train(parse_run(arguments))
    kept = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in kept["state_dict"].values())


def test_weights_that_are_not_finite_end_the_run_and_replace_no_checkpoint(arguments, tmp_path, monkeypatch):
    forward, calls = TinyAutoencoder.forward, []

    def broken(self, clip):
        calls.append(self.training)
        if sum(calls) == 5:  # as an update that is too large
            next(self.parameters()).data.view(-1)[0] = math.inf
        return forward(self, clip)

    monkeypatch.setattr(TinyAutoencoder, "forward", broken)
    with pytest.raises(UserError, match="At step 6 there are weights that are not finite"):
        train(parse_run(arguments))
    kept = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 3
    for state in (kept["state_dict"], weights(tmp_path / "run")):
        assert all(tensor.isfinite().all() for tensor in state.values())
