#!/bin/sh
# viser 1.1.1 (Python 3.11 to 3.13).
#
# `scene.add_gaussian_splats` takes covariances and sends them to the browser in float16. One would guess that this costs
# the third digit. Of flat Gaussians (standard deviations 1, 0.5 and 0.001 in any unit) half arrive with a negative
# eigenvalue: the step of float16 at the largest entry is larger than the whole smallest variance. And the unit matters:
# small Gaussians (standard deviation 1e-4) arrive as points without extent, large ones (300) as infinite.
#
# So splats are sent in a unit of their own (`scale=` brings them back), in which their deviations lie between 0.008 and
# 250, and none flatter than 1 : 24.
#
# Output seen:
#   flat: 48 % with a negative eigenvalue
#   1e-4: largest entry 0
#   300: largest entry inf
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet viser==1.1.1 numpy==2.3.5
cd "$folder"
venv/bin/python > banner.txt <<'PYTHON'
import numpy as np
import viser

server = viser.ViserServer(port=0, verbose=False)
random = np.random.default_rng(0)
COUNT = 3000


def sent(deviations):
    """What the browser gets of Gaussians of these standard deviations, turned at random: [COUNT, 3, 3]."""
    turns = np.linalg.qr(random.normal(size=(COUNT, 3, 3)))[0]
    covariances = turns @ np.diag(np.square(deviations)) @ turns.transpose(0, 2, 1)
    zeros = np.zeros((COUNT, 3))
    handle = server.scene.add_gaussian_splats("/splats", zeros, covariances, zeros, zeros[:, :1])
    upper = np.ascontiguousarray(handle.buffer[:, 4:7]).view(np.float16).astype(float)  # xx xy xz yy yz zz
    return upper[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)


negative = (np.linalg.eigvalsh(sent([1, 0.5, 0.001])) < 0).any(1).mean()
with open("seen.txt", "w") as seen:
    print(f"flat: {100 * negative:.0f} % with a negative eigenvalue", file=seen)
    print(f"1e-4: largest entry {np.abs(sent([1e-4] * 3)).max():.0f}", file=seen)
    print(f"300: largest entry {np.abs(sent([300] * 3)).max():.0f}", file=seen)
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
flat: 48 % with a negative eigenvalue
1e-4: largest entry 0
300: largest entry inf
SEEN
echo "as described"
