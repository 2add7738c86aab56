#!/bin/sh
# lightning 2.6.6 with torch 2.13.0.
#
# Guess: a checkpoint of a training with the callback `EMAWeightAveraging` has the weights in "state_dict" and the mean
# with the callback's own state, so that resuming without the callback goes on from the weights.
# In fact "state_dict" is the mean, and the weights lie under "current_model_state", which the callback alone reads:
# without it a run goes on, with a warning that only names the callback, from the mean of its weights, with the
# optimizer's state of others.
#
# So whoever takes the callback away copies "current_model_state" to "state_dict" in `on_load_checkpoint`.
#
# Output seen:
#   state_dict 3.125, current_model_state 4.0
#   resumed with the callback from [4.0]
#   resumed without it from [3.125]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 lightning==2.6.6 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import tempfile
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

warnings.filterwarnings("ignore")


class Counter(LightningModule):
    """One weight that grows by 1 in each step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.begins = []

    def on_train_start(self):
        self.begins.append(self.weight.item())

    def training_step(self, batch, number):
        return -self.weight

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1.0)


def trained(steps, callbacks, checkpoint=None):
    module = Counter()
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=callbacks, enable_checkpointing=any(isinstance(one, ModelCheckpoint) for one in callbacks),
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(torch.zeros(100, 1))
    trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=checkpoint is not None)
    return module


with tempfile.TemporaryDirectory() as folder:
    trained(4, [EMAWeightAveraging(decay=0.5), ModelCheckpoint(folder, "{step}", every_n_train_steps=4)])
    path = next(Path(folder).glob("*.ckpt"))
    content = torch.load(path, weights_only=True)
    print("state_dict", content["state_dict"]["weight"].item(), end=", ")
    print("current_model_state", content["current_model_state"]["weight"].item())
    print("resumed with the callback from", trained(5, [EMAWeightAveraging(decay=0.5)], path).begins)
    print("resumed without it from", trained(5, [], path).begins)
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
state_dict 3.125, current_model_state 4.0
resumed with the callback from [4.0]
resumed without it from [3.125]
SEEN
echo "as described"
