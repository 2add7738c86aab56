"""Ray does every video once, does again what a killed worker had begun, and passes errors on."""

import os
from pathlib import Path

import pytest
from limited_work import DyingOnce, Large

from video_ae.annotation import ray_engine
from video_ae.annotation.ray_engine import annotated, cores, engine
from video_ae.annotation.video_job import VideoJob
from video_ae.errors import UserError

pytest.importorskip("ray", reason="Ray, which spreads the videos, is not installed")


def job(name: str) -> VideoJob:
    return VideoJob(name, f"/videos/{name}.mp4", 1, "")


@pytest.fixture(autouse=True)
def workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))


def test_every_video_is_done_once_though_a_worker_is_killed(tmp_path: Path) -> None:
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
    with pytest.raises(UserError, match=r"does not answer.*RAY_AUTH_MODE=token"), engine("127.0.0.1:1"):
        pass


def test_an_engine_that_does_not_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*given: object, **named: object) -> None:
        raise Exception("The current node timed out during startup.")  # what Ray raises on a busy machine

    monkeypatch.setattr("ray.init", start)
    with pytest.raises(UserError, match=r"does not start here .*timed out during startup.*try it again"), engine():
        pass


@pytest.mark.slow
def test_a_video_that_is_too_large_for_the_machine_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    monkeypatch.delenv("RAY_task_oom_retries", raising=False)
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.02")  # Ray ends workers, as if no memory were left
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    with engine(workers=1) as ray:
        ((_, (row,)),) = annotated(ray, Large(str(tmp_path)), [job("large")])
    assert row.reason == "Its worker died 2 times (OutOfMemoryError)."
