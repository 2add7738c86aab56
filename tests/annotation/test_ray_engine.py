"""Ray does every video once, does again what a killed worker had begun, and passes errors on."""

import os
from pathlib import Path

import pytest
from limited_work import DyingOnce

from video_ae.annotation.ray_engine import annotated, cores, engine
from video_ae.annotation.video_job import VideoJob
from video_ae.errors import UserError

pytest.importorskip("ray", reason="Ray, which spreads the videos, is not installed")


def job(name: str) -> VideoJob:
    return VideoJob(name, f"/videos/{name}.mp4", 1, "")


def test_every_video_is_done_once_though_a_worker_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    jobs = [job(name) for name in ("a", "dies", "b", "c", "d")]
    task = DyingOnce(str(tmp_path), marker=str(tmp_path / "died"))
    with engine(workers=1) as ray:
        assert cores(ray) == 1
        found = [(one.name, [row.video for row in rows]) for one, rows in annotated(ray, task, jobs)]
        assert sorted(found) == sorted((one.name, [one.name]) for one in jobs)
        assert (tmp_path / "died").exists()
        with pytest.raises(UserError, match="cannot be done"):
            list(annotated(ray, task, [job("refused")]))


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with pytest.raises(UserError, match="does not answer"), engine("127.0.0.1:1"):
        pass
