#!/bin/sh
# @playcanvas/splat-transform 3.7.0 (node 20), read back by gsply 0.4.6 (Python 3.11 to 3.13).
#
# SPZ holds positions in fixed point of 24 bits, and its header says how many of them are fractional. One would guess
# that a writer takes fewer fractional bits for a scene that reaches further, or stops at the largest value, or refuses.
# splat-transform always writes twelve, and a position of 2048 or more comes back on the other side of the world,
# without a word and with exit code 0: x of 3000 is -1096. gsply's own writer, of the same input, stops at 2048.
#
# So gaussians.spz of this package is written with as many fractional bits as the scene allows, and a large scene that
# goes through splat-transform is scaled first (`splat-transform in.ply --scale 0.1 out.spz`).
#
# Output seen:
#   splat-transform: exit code 0, fractional bits 12, x [100.0, 2047.0, -1096.0]
#   gsply: fractional bits 12, x [100.0, 2047.0, 2048.0]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gsply==0.4.6 numpy==2.3.5
npm install --silent --no-audit --no-fund --prefix "$folder" @playcanvas/splat-transform@3.7.0 > "$folder/npm.txt" 2>&1
cd "$folder"
venv/bin/python > seen.txt <<'PYTHON'
import gzip
import subprocess

import gsply
import numpy as np

means = np.array([[100, 0, 0], [2047, 0, 0], [3000, 0, 0]], np.float32)
ones = np.ones((3, 3), np.float32)
quaternions = np.tile(np.array([1, 0, 0, 0], np.float32), (3, 1))
data = gsply.GSData.from_arrays(means, -ones, quaternions, ones[:, 0], 0 * ones, format="ply")
gsply.plywrite("in.ply", data)
convert = ["node_modules/.bin/splat-transform", "-q", "-g", "cpu", "--spz-version", "3", "in.ply", "theirs.spz"]
code = subprocess.run(convert).returncode
gsply.write_spz("gsply.spz", data)


def seen(path):
    bits = gzip.decompress(open(path, "rb").read())[13]
    return f"fractional bits {bits}, x {gsply.read_spz(path).means[:, 0].round(2).tolist()}"


print(f"splat-transform: exit code {code}, {seen('theirs.spz')}")
print(f"gsply: {seen('gsply.spz')}")
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
splat-transform: exit code 0, fractional bits 12, x [100.0, 2047.0, -1096.0]
gsply: fractional bits 12, x [100.0, 2047.0, 2048.0]
SEEN
echo "as described"
