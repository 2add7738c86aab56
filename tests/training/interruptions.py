"""Runs of the tiny model that are stopped in a training step, and what two runs have in common."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_model import TinyAutoencoder

from video_ae.models.open import load_model
from video_ae.training.config import parse_run
from video_ae.training.train import train


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_model(run).state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """To the bit."""
    return all(torch.equal(one[name], other[name]) for name in one)


def sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def sigusr1() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def power_cut() -> None:
    raise RuntimeError("power cut")


def train_interrupted(arguments: list[str], step: int, interrupt: Callable[[], None]) -> list[bool]:
    """Trains until `interrupt` is called in the forward pass of the training step `step`, counted from 1.

    Returns what each forward pass was for: training or not.
    """
    forward, calls = TinyAutoencoder.forward, []

    def interrupted(self, clip):
        calls.append(self.training)
        if self.training and sum(calls) == step:
            interrupt()
        return forward(self, clip)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TinyAutoencoder, "forward", interrupted)
        with pytest.raises(RuntimeError if interrupt is power_cut else KeyboardInterrupt):
            train(parse_run(arguments))
    return calls
