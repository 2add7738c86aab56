"""The script for SLURM in docs/training.md starts a run, queues it again when it was stopped, and then resumes it."""

import os
import re
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
STARTED = (
    "train --config configs/perspective.yaml --data.root packed --trainer.strategy ddp --overwrite "
    "--trainer.devices 2 --out runs/mine"
)
RESUMED = "train --resume --trainer.devices 2 --out runs/mine"


def test_a_stopped_job_is_queued_again_and_goes_on(tmp_path):
    found = re.search(r'```sh title="train.sbatch"\n(.*?)```', PAGE.read_text(), re.DOTALL)
    assert found
    (tmp_path / "bin").mkdir()
    stands_for = {
        "srun": '"$@"',
        "scontrol": "echo scontrol $* >> said",
        "video-ae": "echo $* >> said; mkdir -p runs/mine/checkpoints; exit $ENDS",
    }
    for name, does in stands_for.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    def job(ends: int) -> list[str]:
        (tmp_path / "said").unlink(missing_ok=True)
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "SLURM_JOB_ID": "17", "ENDS": str(ends)}
        subprocess.run(["bash", "-c", found[1]], cwd=tmp_path, env=environment)
        return (tmp_path / "said").read_text().splitlines()

    assert job(130) == [STARTED, "scontrol requeue 17"]
    assert job(130) == [STARTED, "scontrol requeue 17"], "no checkpoint yet"
    for name in ("previous.ckpt", "last.ckpt"):
        (tmp_path / "runs" / "mine" / "checkpoints" / name).touch()
        assert job(130) == [RESUMED, "scontrol requeue 17"]
    assert job(2) == [RESUMED]
    assert job(0) == [RESUMED]
