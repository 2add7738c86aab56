"""How many threads a training computes on: the same from its first step to its last, wherever it goes on."""

import logging
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)


class ComputeThreads(Callback):
    """Sets the number of threads, and keeps it in the checkpoint.

    Gradients of convolutions are sums whose order follows from the number of threads: with another one the last bits of
    a training differ. A run that goes on, perhaps on another machine, so computes on as many as it began with.

    Args:
        asked: number of threads for each process; None keeps the checkpoint's, and a run that begins takes what torch
            has: `OMP_NUM_THREADS`, or a thread for each core.
    """

    def __init__(self, asked: int | None) -> None:
        self._asked, self._before = asked, None

    def state_dict(self) -> dict[str, Any]:
        return {"threads": torch.get_num_threads()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["threads"]

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        available = torch.get_num_threads()
        threads = self._asked or self._before or available
        torch.set_num_threads(threads)
        if self._before not in (None, threads):
            log.warning(
                "The run began on %d threads and goes on with %d: its last bits may differ.", self._before, threads
            )
        elif threads != available and trainer.is_global_zero:
            log.info("Computing on %d threads instead of %d.", threads, available)
