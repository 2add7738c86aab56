"""Annotates videos on two engine nodes of one machine while workers and nodes are killed, beside a run without kills.

    python tools/kill_annotate.py data/walkthroughs/train/videos --clips 60 --workers 5 --nodes 2 --out runs/kills
    python tools/kill_annotate.py data/walkthroughs/train/videos --clips 60 --s3 --out runs/kills

The clips are cut out of the videos, and one of them is damaged in ten ways (`tools/damage_videos.py`). With `--s3`,
videos and results lie in a bucket of a server here; it takes moto[server] and s3fs. Every video must be there
once, with the same row and the same files, byte for byte, as without kills, and nothing else. The run without kills is
not repeated where it is there. Then a query picks the well-solved clips of the table, and a training takes some steps
on them, with the cameras that are stored.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import psutil
import pyarrow.parquet as parquet
from damage_videos import damage
from ray.cluster_utils import Cluster

from video_ae.formats.atomic import MARK
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

ROOT = Path(__file__).resolve().parents[1]
BUCKET = "s3://kills"
WELL_SOLVED = [("confidence", ">", 0.7), ("pure_rotation", "=", False), ("poor_fit", "=", False)]
SMALL = {"object_store_memory": 100 * 2**20}


def cut_clips(videos: Path, out: Path, count: int, frames: int) -> None:
    """Writes clips that follow each other in the videos, in turn, and ten damaged ones.

    Args:
        videos: a folder of videos.
        out: that the clips are written to.
        count: of the clips.
        frames: of each.
    """
    readers = [open_video(path) for path in sorted(videos.glob("*.mp4"))]
    for number in range(count):
        turn, video = divmod(number, len(readers))
        read = readers[video].read(range(turn * frames, (turn + 1) * frames))
        write_video(out / f"clip_{number:03d}.mp4", read, 10)
    damage(out / "clip_000.mp4", out / "damaged")


def annotate(source: str, out: str, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "video_ae", "annotate", source, "--out", out, *options]
    return subprocess.Popen(command, cwd=ROOT)


def results(out: Path, source: str) -> dict[tuple[str, int], tuple[str, dict[str, bytes]]]:
    """(video, shot) -> (row, its files).

    Args:
        out: that `annotate` wrote.
        source: of the videos, which rows name.
    """
    found = {}
    for row in parquet.read_table(out / "annotations.parquet").to_pylist():
        key = row["video"], row["segment"]
        assert key not in found, f"{key} is there twice"
        files = sorted(path for path in (out / row["folder"]).rglob("*") if path.is_file()) if row["folder"] else []
        contents = {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != MARK}
        found[key] = json.dumps({**row, "seconds": 0}).replace(source, "SOURCE"), contents
    left = [path for path in (out / "videos").iterdir() if path.name.startswith(".")]
    assert not left, f"left behind: {left}"
    assert len({video for video, _ in found}) == len(list((out / "videos").iterdir()))
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
            nodes.append(cluster.add_node(num_cpus=1, **SMALL))
        print(f"killed a {kind}", flush=True)


def annotate_disturbed(source: str, out: str, given: argparse.Namespace) -> None:
    """Annotates on two engine nodes of this machine that are killed.

    Args:
        source: of the videos.
        out: of the results.
        given: `workers`, `nodes`, `wait`, `refine`.
    """
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    try:
        nodes = [cluster.add_node(num_cpus=1, **SMALL) for _ in range(2)]
        run = annotate(source, out, "--refine", str(given.refine), "--address", cluster.address)
        disturb(cluster, nodes, run, given.workers, given.nodes, given.wait)
        assert run.wait() == 0
    finally:
        cluster.shutdown()


def train_on_well_solved(annotated: str, out: Path) -> None:
    """Picks rows of a table by a query, and trains some steps on these clips.

    Args:
        annotated: folder or address that `annotate` wrote.
        out: folder of the training.
    """
    with fsspec.open(f"{annotated}/annotations.parquet") as table:
        rows = parquet.read_table(table, filters=WELL_SOLVED)
    with fsspec.open(f"{annotated}/good.parquet", "wb") as good:
        parquet.write_table(rows, good)
    data = ["--data.root", f"{annotated}/good.parquet", "--data.validation_root", "null"]
    command = ["train", "--config", "configs/quickstart.yaml", *data, "--trainer.max_steps", "5", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "video_ae", *command],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    print(done.stdout, flush=True)
    assert done.returncode == 0
    assert f"{rows.num_rows} videos, 0 left out" in done.stdout
    assert "anew" not in done.stdout, "cameras were solved"


@contextmanager
def bucket() -> Iterator[None]:
    """An empty bucket on a server of this machine, which the processes that are started meanwhile find."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"), "us-east-1")
    os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*server.get_host_and_port())
    fsspec.filesystem("s3").mkdir(BUCKET)
    try:
        yield
    finally:
        server.stop()


def annotate_in_bucket(source: Path, out: Path, given: argparse.Namespace) -> None:
    """Copies the videos into a bucket, annotates them there with kills, and copies the results back.

    Args:
        source: of the videos.
        out: of the copy.
        given: as in `annotate_disturbed`.
    """
    with bucket():
        storage = fsspec.filesystem("s3")
        storage.put(str(source), f"{BUCKET}/videos", recursive=True)
        annotate_disturbed(f"{BUCKET}/videos", f"{BUCKET}/annotated", given)
        train_on_well_solved(f"{BUCKET}/annotated", given.out / "trained")
        storage.invalidate_cache()
        storage.get(f"{BUCKET}/annotated", str(out), recursive=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, default=8, help="of a clip")
    parser.add_argument("--workers", type=int, default=5, help="killed workers")
    parser.add_argument("--nodes", type=int, default=2, help="killed nodes")
    parser.add_argument("--wait", type=float, default=8.0, help="seconds between two kills, on average")
    parser.add_argument("--refine", type=int, default=0)
    parser.add_argument("--s3", action="store_true", help="videos and results in a bucket")
    given = parser.parse_args()
    source, calm, killed = (given.out.absolute() / name for name in ("clips", "calm", "killed"))
    if not source.exists():
        cut_clips(given.source, source, given.clips, given.frames)
    assert annotate(str(source), str(calm), "--refine", str(given.refine), "--workers", "1").wait() == 0
    for folder in (killed, given.out / "trained"):
        shutil.rmtree(folder, ignore_errors=True)
    if given.s3:
        annotate_in_bucket(source, killed, given)
    else:
        annotate_disturbed(str(source), str(killed), given)
        train_on_well_solved(str(killed), given.out / "trained")
    one, other = results(calm, str(source)), results(killed, f"{BUCKET}/videos" if given.s3 else str(source))
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    differing = [key for key in one if one[key] != other[key]]
    failed = sum(not files for _, files in one.values())
    print(f"{len(one)} rows, {failed} of them of videos without cameras; {len(differing)} differ {differing}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
