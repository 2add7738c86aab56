import logging

import pytest
import torch
from interruptions import sigterm, train_interrupted
from lightning.pytorch import Callback

from video_ae.errors import UserError
from video_ae.models.open import load_model
from video_ae.training.config import parse_run
from video_ae.training.train import train

QUICK = [
    "--config",
    "configs/quickstart.yaml",
    "--data.length=3",
    "--trainer.max_steps=1",
    "--trainer.validate_every=9",
]


@pytest.fixture
def on_threads():
    """Lets torch compute on so many threads, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class Seen(Callback):
    """The number of threads that torch has in each step."""

    def __init__(self):
        self.threads = []

    def on_train_batch_start(self, *_):
        self.threads.append(torch.get_num_threads())


def test_a_training_gives_the_same_bits_whatever_torch_would_use(on_threads, tmp_path):
    found = []
    for own, asked in ((1, 3), (2, 3), (1, 1)):
        on_threads(own)
        run = train(parse_run([*QUICK, f"--trainer.threads={asked}", "--out", str(tmp_path / f"{own}_{asked}")]))
        assert torch.get_num_threads() == own
        found.append(torch.cat([one.flatten() for one in load_model(run).state_dict().values()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])  # or else nothing would have to be set


def test_a_run_goes_on_with_the_threads_that_it_began_with(arguments, on_threads, caplog):
    on_threads(2)
    train_interrupted(arguments, 4, sigterm)
    on_threads(1)
    seen = Seen()
    with caplog.at_level(logging.INFO, "video_ae"):
        run = train(parse_run(["--resume", "--out", arguments[-1]]), [seen])
    assert seen.threads == [2] * 4
    assert "Computing on 2 threads instead of 1." in caplog.text
    other = Seen()
    longer = ["--resume", "--out", str(run), "--trainer.threads=3", "--trainer.max_steps=10"]
    train(parse_run(longer), [other])
    assert other.threads == [3, 3]
    assert "began on 2 threads and goes on with 3" in caplog.text


def test_no_threads_at_all_are_refused(arguments):
    with pytest.raises(UserError, match=r"trainer.threads is 0"):
        parse_run([*arguments, "--trainer.threads=0"])
