#!/bin/sh
# Numba 0.68.1 with NumPy 2.4.6.
#
# Guess: since Numba follows NumPy 2, a float32 element times a Python number stays float32, as NEP 50 has it.
# In fact Numba types the literal as float64, and so is the product: the same line gives two types and two values,
# compiled or not. Comparisons at a threshold differ, and loops compute with doubles, half as many in a register.
#
# So constants that go with float32 are written `np.float32(0.1)`, in loops that shall agree with their twin in NumPy.
#
# Output seen:
#   tenth: NumPy float32, Numba float64
#   float32_tenth: NumPy float32, Numba float32
#   equal to the product of two float32: NumPy True Numba False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import numba
import numpy as np


def tenth(values):
    return values[0] * 0.1


def float32_tenth(values):
    return values[0] * np.float32(0.1)


three = np.full(1, 3, np.float32)
for function in (tenth, float32_tenth):
    compiled = numba.njit(function)
    compiled(three)
    kinds = function(three).dtype, compiled.nopython_signatures[0].return_type
    print(f"{function.__name__}: NumPy {kinds[0]}, Numba {kinds[1]}")
product = np.float32(3) * np.float32(0.1)
equal = [bool(float(function(three)) == float(product)) for function in (tenth, numba.njit(tenth))]
print("equal to the product of two float32: NumPy", equal[0], "Numba", equal[1])
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
tenth: NumPy float32, Numba float64
float32_tenth: NumPy float32, Numba float32
equal to the product of two float32: NumPy True Numba False
SEEN
echo "as described"
