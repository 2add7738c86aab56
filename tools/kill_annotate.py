"""Annotates videos on two engine nodes of one machine while workers and a node are killed, beside a run without kills.

    python tools/kill_annotate.py data/walkthroughs/train/videos --workers 5 --nodes 2 --out kills

Every video must be there once, with the same rows and the same cameras as without kills.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as parquet
from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parents[1]
VARYING = ("seconds",)  # columns that two runs do not share


def annotate(source: Path, out: Path, refine: int, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "video_ae", "annotate", str(source), "--out", str(out), "--refine", str(refine)]
    return subprocess.Popen([*command, *options], cwd=ROOT)


def results(out: Path) -> dict[tuple[str, int], tuple[dict, bytes]]:
    """(video, shot) -> (row, cameras.json).

    Args:
        out: that `annotate` wrote.
    """
    found = {}
    for row in parquet.read_table(out / "annotations.parquet").to_pylist():
        key = row["video"], row["segment"]
        assert key not in found, f"{key} is there twice"
        cameras = (out / row["folder"] / "cameras.json").read_bytes() if row["folder"] else b""
        found[key] = {name: value for name, value in row.items() if name not in VARYING}, cameras
    return found


def busy_workers(node: Any) -> list[psutil.Process]:
    """The workers of a node that do a video.

    Args:
        node: of the cluster.
    """
    raylets = [psutil.Process(one.process.pid) for one in node.all_processes.get("raylet", [])]
    below = [child for raylet in raylets for child in raylet.children(recursive=True)]
    return [one for one in below if any("ray::_run" in word for word in one.cmdline()[:1])]


def disturb(
    cluster: Cluster, nodes: list[Any], run: subprocess.Popen, workers: int, machines: int, wait: float
) -> None:
    """Kills workers and nodes in a random order, each some seconds after the one before.

    Args:
        cluster: of Ray.
        nodes: of it, which change.
        run: the command, which goes on.
        workers, machines: how many are killed.
        wait: seconds between two kills, on average.
    """
    draw = random.Random(0)
    kills = ["worker"] * workers + ["node"] * machines
    draw.shuffle(kills)
    for kind in kills:
        time.sleep(draw.uniform(0.5, 1.5) * wait)
        while run.poll() is None and not any(map(busy_workers, nodes)):
            time.sleep(0.2)
        assert run.poll() is None, f"the run ended before all kills: give more videos, or --wait below {wait:g}"
        if kind == "worker":
            draw.choice([one for node in nodes for one in busy_workers(node)]).kill()
        else:
            cluster.remove_node(nodes.pop(draw.randrange(len(nodes))), allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20))
        print(f"killed a {kind}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=5, help="killed workers")
    parser.add_argument("--nodes", type=int, default=2, help="killed nodes")
    parser.add_argument("--wait", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--refine", type=int, default=0)
    given = parser.parse_args()
    source, out = given.source.absolute(), given.out.absolute()
    assert annotate(source, out / "calm", given.refine, "--workers", "1").wait() == 0
    small = {"object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
        run = annotate(source, out / "killed", given.refine, "--address", cluster.address)
        disturb(cluster, nodes, run, given.workers, given.nodes, given.wait)
        assert run.wait() == 0
    finally:
        cluster.shutdown()
    calm, killed = results(out / "calm"), results(out / "killed")
    assert calm.keys() == killed.keys(), calm.keys() ^ killed.keys()
    differing = [key for key in calm if calm[key] != killed[key]]
    print(f"{len(calm)} shots, {len(differing)} differ {differing}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
