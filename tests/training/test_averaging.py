import pytest
import torch
from interruptions import power_cut, same, sigterm, train_interrupted, weights
from lightning.pytorch import Callback

from video_ae.errors import UserError
from video_ae.training.config import parse_run
from video_ae.training.train import train

AVERAGED = "--trainer.averaging=0.7"


class Steps(Callback):
    """Collects the weights after each step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, module, *_):
        self.weights.append({name: value.clone() for name, value in module.model.state_dict().items()})


def test_what_is_kept_is_the_running_mean_of_all_steps(arguments):
    steps = Steps()
    kept = weights(train(parse_run([*arguments, AVERAGED]), [steps]))
    mean = steps.weights[0]
    for number, after in enumerate(steps.weights[1:], 1):
        share = min(0.7, (1 + number) / (10 + number))
        mean = {name: share * mean[name] + (1 - share) * after[name] for name in mean}
    assert len(steps.weights) == 8
    for name, value in mean.items():
        torch.testing.assert_close(kept[name], value, rtol=1e-5, atol=1e-7)
    assert not same(kept, steps.weights[-1])


def test_the_steps_themselves_do_not_see_the_mean(arguments, tmp_path):
    with_mean, without = Steps(), Steps()
    train(parse_run([*arguments, AVERAGED]), [with_mean])
    train(parse_run([*arguments, "--out", str(tmp_path / "without")]), [without])
    assert all(same(one, other) for one, other in zip(with_mean.weights, without.weights, strict=True))


@pytest.mark.parametrize(("step", "interrupt"), [(6, sigterm), (8, power_cut)])
def test_interrupted_and_resumed_equals_uninterrupted(arguments, tmp_path, step, interrupt):
    arguments = [*arguments, AVERAGED]
    whole = train(parse_run([*arguments, "--out", str(tmp_path / "whole")]))
    train_interrupted(arguments, step, interrupt)
    run = tmp_path / "run"
    train(parse_run(["--resume", "--out", str(run)]))
    assert same(weights(whole), weights(run))


def test_resumed_without_the_mean_goes_on_from_the_last_weights(arguments, tmp_path):
    """Lightning 2.6.6 puts the mean into a checkpoint's "state_dict", which is all that a run without one looks at."""
    whole = train(parse_run([*arguments, "--out", str(tmp_path / "whole")]))
    run = train(parse_run([*arguments, AVERAGED, "--trainer.max_steps=5"]))
    train(parse_run(["--resume", "--out", str(run), "--trainer.averaging=null", "--trainer.max_steps=8"]))
    assert same(weights(whole), weights(run))


def test_checkpoint_holds_the_mean_like_the_kept_weights(arguments):
    run = train(parse_run([*arguments, AVERAGED]))
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(last[f"model.{name}"], value) for name, value in weights(run).items())


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5])
def test_a_share_that_cannot_be_is_refused(arguments, share):
    with pytest.raises(UserError, match="between 0 and 1"):
        parse_run([*arguments, f"--trainer.averaging={share}"])
