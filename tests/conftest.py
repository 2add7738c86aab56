"""Shape words are checked by beartype in the tests and off in production."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from jaxtyping import install_import_hook

install_import_hook("video_ae", "beartype.beartype")
torch.set_num_threads(1)
