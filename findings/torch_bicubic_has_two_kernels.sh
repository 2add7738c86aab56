#!/bin/sh
# torch 2.13.0.
#
# Guess: `antialias=True` in `torch.nn.functional.interpolate` only widens the kernel where an image becomes smaller;
# enlarging gives the same with and without. That holds for "bilinear". For "bicubic" the kernel itself is another one:
# Keys' cubic with a = -0.75 without, a = -0.5 with antialiasing; beside a step, enlarged twofold, the one overshoots by
# 10.5 % and the other by 7 %. Pillow's bicubic is the one with -0.5.
#
# So a model that was trained on frames enlarged by Pillow sees others from `interpolate(mode="bicubic")`.
#
# Output seen:
#   bilinear: largest difference 0.0000
#   bicubic: largest difference 0.0352
#   overshoot without: 0.1055, with: 0.0703
#   agrees with Pillow: without False with True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 pillow==13.0.0

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

step = torch.zeros(1, 1, 1, 16)
step[..., 8:] = 1
wide = {}
for mode in ("bilinear", "bicubic"):
    wide[mode] = [interpolate(step, size=(1, 32), mode=mode, antialias=flag) for flag in (False, True)]
    print(f"{mode}: largest difference {(wide[mode][0] - wide[mode][1]).abs().max().item():.4f}")
print("overshoot without:", f"{wide['bicubic'][0].max().item() - 1:.4f}", end=", ")
print("with:", f"{wide['bicubic'][1].max().item() - 1:.4f}")
pillow = Image.fromarray(step[0, 0].numpy(), mode="F").resize((32, 1), Image.Resampling.BICUBIC)
agree = [bool(np.abs(np.asarray(pillow) - one[0, 0].numpy()).max() < 1e-5) for one in wide["bicubic"]]
print("agrees with Pillow: without", agree[0], "with", agree[1])
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
bilinear: largest difference 0.0000
bicubic: largest difference 0.0352
overshoot without: 0.1055, with: 0.0703
agrees with Pillow: without False with True
SEEN
echo "as described"
