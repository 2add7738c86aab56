#!/bin/sh
# Numba 0.68.1 with NumPy 2.4.6.
#
# Guess: `np.mean` in a compiled function is as exact as NumPy's own, which adds in pairs, or at least adds in float64.
# In fact the sum is one float32, element after element: from 2 ** 24 on, adding 1 no longer changes it. The mean of
# 33 million ones is 0.5 and their variance 0.25, without a warning. One 4K frame in RGB has 25 million values.
#
# So a sum over an image gets an accumulator of its own: `total = 0.0`, which Numba makes a float64.
#
# Output seen:
#   NumPy: 1.0 0.0 33554432
#   Numba: 0.5 0.25 16777216
#   Numba with an accumulator: 1.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import numba
import numpy as np


@numba.njit
def moments(values):
    return np.mean(values), np.var(values), values.sum()


@numba.njit
def mean_in_float64(values):
    total = 0.0
    for value in values:
        total += value
    return total / values.size


ones = np.ones(2**25, np.float32)
print("NumPy:", float(np.mean(ones)), float(np.var(ones)), int(ones.sum()))
mean, variance, total = moments(ones)
print("Numba:", float(mean), float(variance), int(total))
print("Numba with an accumulator:", mean_in_float64(ones))
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
NumPy: 1.0 0.0 33554432
Numba: 0.5 0.25 16777216
Numba with an accumulator: 1.0
SEEN
echo "as described"
