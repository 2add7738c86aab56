#!/bin/sh
# safetensors 0.8.0 with torch 2.13.0 (Python 3.11, x86-64 Linux).
#
# One would think that reading a file again and again through `safe_open` leaves nothing in memory once the tensors are
# gone. Each tensor that `get_tensor` (and `load_file`, which uses it) reads leaves two integers behind for ever: where it
# begins and ends in the file, 64 bytes for each tensor and each reading (the slice that is made in Rust, as far as one
# sees from outside). Found as a creep of 0.1 MB a minute in a process that loaded a model of 68 tensors again and again;
# no garbage collector and no count of Python's containers shows it, `sys.getallocatedblocks` does.
#
# `safetensors.torch.load` of the bytes leaves nothing, and a file that somebody cuts off meanwhile cannot crash its
# reader, as a mapped one can.
#
# Output seen (objects left by each tensor and reading):
#   safe_open 2
#   load_file 2
#   load 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 safetensors==0.8.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import gc
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file

FILE = "x.safetensors"
save_file({str(number): torch.zeros(18000) for number in range(50)}, FILE)


def opened():
    with safe_open(FILE, framework="pt") as file:
        for name in file.keys():
            file.get_tensor(name)


for name, read in {
    "safe_open": opened, "load_file": lambda: load_file(FILE), "load": lambda: load(Path(FILE).read_bytes()),
}.items():  # fmt: skip
    for _ in range(3):
        read()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(100):
        read()
    gc.collect()
    print(name, round((sys.getallocatedblocks() - before) / 5000))
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
safe_open 2
load_file 2
load 0
SEEN
echo "as described"
