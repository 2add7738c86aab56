#!/bin/sh
# gsply 0.4.6 with Numba 0.68.1 and torch 2.13.0 (CPU), Linux.
#
# Guess: a library that writes a file of splats has nothing to do with how many threads torch computes on; who asked for
# one (OMP_NUM_THREADS=1, `torch.set_num_threads(1)`) keeps it.
# In fact gsply packs on Numba's parallel loops, Numba takes its OpenMP layer where there is no TBB, and both load one and
# the same libgomp, whose number of threads the first parallel loop sets to Numba's: all cores, whatever OMP_NUM_THREADS
# says. From then on torch reports that many and uses them. Beside other busy programs its small operations then wait in
# libgomp's barriers: a training of 2.5 seconds on two shared cores took minutes.
#
# So the number is put back after gsply has written; NUMBA_NUM_THREADS=1 helps as well.
#
# Output seen (Numba was given three threads, torch one):
#   torch's threads after importing gsply: 1
#   torch's threads after writing compressed PLY: 3
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 gsply==0.4.6 numba==0.68.1
cd "$folder"
OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=3 venv/bin/python > seen.txt 2> log.txt <<'PYTHON' || { cat log.txt; exit 1; }
import numpy as np
import torch

torch.set_num_threads(1)
import gsply

print("torch's threads after importing gsply:", torch.get_num_threads())
random = np.random.default_rng(0)
centres, log_scales, colours = (random.normal(size=(1000, 3)).astype(np.float32) for _ in range(3))
turns, logits = random.normal(size=(1000, 4)).astype(np.float32), np.zeros(1000, np.float32)
cloud = gsply.GSData.from_arrays(centres, log_scales, turns, logits, colours, format="ply", sh_degree=0)
gsply.compress_to_bytes(cloud)
print("torch's threads after writing compressed PLY:", torch.get_num_threads())
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
torch's threads after importing gsply: 1
torch's threads after writing compressed PLY: 3
SEEN
echo "as described"
