"""The learning rate over a run: the cosine, or halvings at given steps; both go on exactly after a stop."""

import pytest
import torch
from interruptions import same, sigterm, train_interrupted, weights

from video_ae.errors import UserError
from video_ae.training.config import parse_run
from video_ae.training.train import train

HALVE = "--optimizer.halve_at=[3,6]"


def test_rates_of_a_run_are_halved_at_the_given_steps(arguments, monkeypatch):
    used = []

    def record(self, *args, **kwargs):
        used.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", record)
    train(parse_run([*arguments, HALVE, "--optimizer.warmup_steps=0", "--optimizer.lr=0.008"]))
    assert used == pytest.approx([0.008] * 3 + [0.004] * 3 + [0.002] * 2)


def test_stopped_at_a_halving_and_resumed_equals_uninterrupted(arguments, tmp_path):
    whole = train(parse_run([*arguments, HALVE, "--out", str(tmp_path / "whole")]))
    constant = train(parse_run([*arguments, "--out", str(tmp_path / "constant")]))
    assert not same(weights(whole), weights(constant))
    train_interrupted([*arguments, HALVE], 6, sigterm)
    run = tmp_path / "run"
    assert not same(weights(whole), weights(run))
    train(parse_run(["--resume", "--out", str(run)]))
    assert same(weights(whole), weights(run))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([HALVE, "--optimizer.decay_steps=8"], "two ways to lower the learning rate"),
        (["--optimizer.halve_at=[6,3]"], r"halve_at is \[6, 3\], and rising steps above 0"),
        (["--optimizer.halve_at=[0,3]"], "rising steps above 0"),
        (["--optimizer.halve_at=[soon]"], "optimizer.halve_at has a value that does not fit"),
    ],
)
def test_settings_that_contradict_are_one_sentence(arguments, given, says):
    with pytest.raises(UserError, match=says) as caught:
        parse_run([*arguments, *given])
    assert "\n" not in str(caught.value)
