"""A folder of videos -> a folder each and one table; what is done is not done again, and what is damaged has a row."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from filelock import FileLock
from prepared_videos import pan, write

from video_ae.annotation import ray_engine, solving, video_task
from video_ae.annotation.annotate import annotate
from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.destination import Destination
from video_ae.annotation.limited_process import WorkEnded
from video_ae.annotation.video_job import VideoJob
from video_ae.annotation.video_listing import list_videos
from video_ae.annotation.video_task import Limits, VideoTask
from video_ae.errors import UserError
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.scene import read_scene
from video_ae.models.base import VideoModel
from video_ae.models.open import load_model, save_weights

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow, which writes the table, is not installed")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    write(root / "film.mp4", pan(0, 12), pan(1, 13))  # two shots
    (root / "deep").mkdir()
    (root / "deep" / "broken.mp4").write_text("<html>404</html>" * 99)
    return root


@pytest.fixture(autouse=True)
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the videos that were done, in this process in place of Ray's workers."""
    names: list[str] = []

    @contextmanager
    def engine(*given: Any) -> Iterator[None]:
        yield None

    def annotated(
        ray: Any, task: VideoTask, jobs: Iterable[VideoJob]
    ) -> Iterator[tuple[VideoJob, list[AnnotationRow]]]:
        for job in jobs:
            names.append(job.name)
            yield job, task.annotate(job)

    monkeypatch.setattr(ray_engine, "engine", engine)
    monkeypatch.setattr(ray_engine, "annotated", annotated)
    return names


@pytest.fixture(scope="module")
def annotations(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run wrote; tests that change it copy it."""
    out = tmp_path_factory.mktemp("annotations") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_engine, "engine", contextmanager(lambda *given: iter([None])))
        patch.setattr(ray_engine, "annotated", lambda ray, task, jobs: [(job, task.annotate(job)) for job in jobs])
        annotate(str(source), str(out), refine=0)
    return out


def test_every_shot_has_a_row_and_cameras(annotations: Path, source: Path) -> None:
    rows = pq.read_table(annotations / "annotations.parquet").to_pylist()
    assert [(row["video"], row["segment"], row["first_frame"], row["frames"]) for row in rows] == [
        ("deep/broken", 0, 0, 0), ("film", 0, 0, 12), ("film", 1, 12, 13),
    ]  # fmt: skip
    assert "cannot be read" in rows[0]["reason"]
    assert rows[0]["folder"] == ""
    assert rows[0]["focal"] is None
    for row in rows[1:]:
        assert row["reason"] == ""
        assert row["source"] == str(source / "film.mp4")
        assert (row["width"], row["height"], row["rate"]) == (96, 64, 10.0)
        found = read_cameras_json(annotations / row["folder"] / "cameras.json")
        assert found.indices.tolist() == list(range(row["first_frame"], row["first_frame"] + row["frames"]))
        assert found.times.tolist() == pytest.approx([index / 10 for index in found.indices.tolist()]), "of the video"
        assert row["focal"] == found.cameras.intrinsics[0, 0].item()
        assert row["confidence"] == pytest.approx(found.confidence.mean().item())
        scene, size = read_scene(annotations / row["folder"] / "scene")
        torch.testing.assert_close(scene.cameras.world_from_camera.double(), found.cameras.world_from_camera)
        assert size == (96, 64)
        assert scene.structures == ()


def test_shots_begin_from_the_focal_length_that_the_file_tells(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def reconstruct(model: VideoModel, video: object, **given: object) -> None:
        told.append(given["expected_focal"])
        raise UserError("It is not needed here.")

    monkeypatch.setattr(VideoModel, "reconstruct", reconstruct)
    monkeypatch.setattr(solving, "focal_in_metadata", lambda path, size: 0.7 if path.name == "film.mp4" else None)
    with pytest.raises(UserError, match="not needed"):
        solving.annotate_file(source / "film.mp4", "film", tmp_path, solving.SolverSettings(refine=0))
    assert told == [0.7]


def test_depth_and_splats_stand_beside_the_cameras(tmp_path: Path) -> None:
    write(tmp_path / "film.mp4", pan(0, 4))
    settings = solving.SolverSettings(refine=0, extras=("depth", "masks", "splats"))
    (tmp_path / "out").mkdir()
    (row,) = solving.annotate_file(tmp_path / "film.mp4", "film", tmp_path / "out", settings)
    assert row.reason == ""
    (splats,) = (tmp_path / "out").glob("*.ply")
    assert splats.stat().st_size > 1000
    assert len(list((tmp_path / "out" / "depth").glob("*.png"))) == 4
    assert not (tmp_path / "out" / "masks").exists()  # nothing moves


def test_a_second_run_does_nothing_and_one_that_lost_a_video_does_that(
    annotations: Path, source: Path, tmp_path: Path, done: list[str]
) -> None:
    out = shutil.copytree(annotations, tmp_path / "out")
    annotate(str(source), str(out), refine=0)
    assert done == []
    shutil.rmtree(out / "videos" / "deep%2Fbroken")
    (out / "videos" / ".film-0123456789ab").mkdir()  # of a worker that was killed
    annotate(str(source), str(out), refine=0)
    assert done == ["deep/broken"]
    assert not (out / "videos" / ".film-0123456789ab").exists()
    before, after = (pq.read_table(one / "annotations.parquet").to_pylist() for one in (annotations, out))
    assert before == after


@pytest.mark.parametrize("change", ["version", "asked", "video", "cut off"])
def test_what_was_made_otherwise_is_made_again(annotations: Path, source: Path, change: str) -> None:
    job = next(job for job in list_videos(str(source)) if job.name == "deep/broken")
    text = (annotations / "videos" / job.folder / "summary.json").read_text()
    summary = json.loads(text)
    asked = summary["asked"]
    destination = Destination("memory://fits")
    where = fsspec.filesystem("memory")
    name = f"/fits/videos/{job.folder}/summary.json"
    where.pipe_file(name, text.encode())
    assert [rows is not None for _, rows in destination.rows([job], asked, {})] == [True]
    other = text[:40] if change == "cut off" else json.dumps({**summary, change: "another"})
    where.pipe_file(name, other.encode())
    assert [rows for _, rows in destination.rows([job], asked, {})] == [None]


def test_only_the_limits_at_which_a_video_failed_count(source: Path, tmp_path: Path) -> None:
    job = list_videos(str(source))[0]
    task = VideoTask(str(tmp_path), {"refine": 0}, Limits(5, 1))
    task.failed(job, "too long", asdict(task.limits))
    known = [
        rows is not None
        for limits in (task.limits, Limits(50, 1))
        for _, rows in Destination(str(tmp_path)).rows([job], task.asked, asdict(limits))
    ]
    assert known == [True, False]


def test_a_limit_costs_one_row(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def call(self, *given: Any, **limits: Any) -> None:
            raise WorkEnded("It took longer than the 5 seconds that a video may take.")

    monkeypatch.setattr("video_ae.annotation.video_task._process", Slow)
    task = VideoTask(str(tmp_path), limits=Limits(5))
    (row,) = task.run(list_videos(str(source))[0])
    assert "longer than the 5 seconds" in row.reason


def test_two_runs_into_one_folder_and_another_source_are_refused(
    annotations: Path, source: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(annotations, tmp_path / "out")
    with FileLock(str(out / ".lock")), pytest.raises(UserError, match="Another run is writing"):
        annotate(str(source), str(out), refine=0)
    with pytest.raises(UserError, match="holds annotations of") as refused:
        annotate(str(source / "film.mp4"), str(out), refine=0)
    assert refused.value.argument == "overwrite"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(UserError, match="is not empty"):
        annotate(str(source), str(tmp_path / "other"), refine=0)


def test_into_object_storage_and_from_it(annotations: Path, source: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(source), "/bucket/videos", recursive=True)
    annotate("memory://bucket/videos", "memory://bucket/out", refine=0)
    with memory.open("/bucket/out/annotations.parquet") as file:
        far = pq.read_table(file).to_pylist()
    near = pq.read_table(annotations / "annotations.parquet").to_pylist()
    same = [name for name in near[0] if name not in ("seconds", "source", "reason")]
    assert [{name: row[name] for name in same} for row in near] == [{name: row[name] for name in same} for row in far]
    with fsspec.open(far[1]["source"]) as file:
        assert file.read() == (source / "film.mp4").read_bytes()
    for name in ("cameras.json", "scene/scene.json"):
        file = f"{far[1]['folder']}/{name}"
        assert memory.cat_file(f"/bucket/out/{file}") == (annotations / file).read_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"refine": -1}, "refinement steps"), ({"workers": 0}, "give 1 or more"), ({"time_limit": 0}, "above zero"),
        ({"workers": 2, "address": "auto"}, "beside a cluster"), ({"extras": ["points"]}, "choose from depth"),
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(
    given: dict[str, Any], message: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        annotate(str(source), str(tmp_path / "out"), **given)
    assert not (tmp_path / "out").exists()


def test_a_destination_that_refuses_is_named(source: Path, monkeypatch: pytest.MonkeyPatch, done: list[str]) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise PermissionError("An error occurred (403): Forbidden")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "pipe_file", refuse)
    with pytest.raises(
        UserError, match=r"memory://refusing.* cannot be reached \(.*403.*check the address and your access"
    ):
        annotate(str(source), "memory://refusing/out", refine=0)
    assert done == []


@pytest.mark.parametrize(("address", "package"), [("gs://bucket/videos", "gcsfs"), ("s3://bucket/videos", "s3fs")])
def test_storage_whose_package_is_missing_is_named(
    address: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"{address}.*needs another package.*{package}"):
        annotate(address, str(tmp_path / "out"), refine=0)
    assert not (tmp_path / "out").exists()


def test_what_a_worker_of_the_engine_imports_is_light() -> None:
    script = "import sys, video_ae.annotation.ray_engine; print(*{'torch', 'numpy', 'numba', 'av'} & set(sys.modules))"
    heavy = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert heavy.split() == []


def test_a_full_disk_ends_the_run_with_a_sentence(
    annotations: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    job = next(job for job in list_videos(str(source)) if job.name == "deep/broken")
    monkeypatch.setattr("video_ae.annotation.destination.shutil.copyfile", full)
    with pytest.raises(UserError, match="is full: make room and run it again"):
        replace(VideoTask(str(tmp_path / "out")), asked={"refine": 0}).annotate(job)
    assert not list((tmp_path / "out").rglob("summary.json"))


def test_other_weights_in_the_same_file_annotate_anew(source: Path, tmp_path: Path, done: list[str]) -> None:
    weights, out = tmp_path / "weights.safetensors", str(tmp_path / "out")
    save_weights(load_model(), weights)
    broken = str(source / "deep")
    annotate(broken, out, refine=0, weights=str(weights))
    annotate(broken, out, refine=0, weights=str(weights))
    assert done == ["broken"]
    model = load_model()
    next(model.parameters()).data += 1
    save_weights(model, weights)
    annotate(broken, out, refine=0, weights=str(weights))
    assert done == ["broken", "broken"]
    with pytest.raises(UserError, match="no weights at"):
        annotate(broken, out, refine=0, weights="nowhere.safetensors")


def test_nothing_stays_in_the_temporary_folder_when_a_process_is_ended(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds there is a copy of a video from a bucket, which may have gigabytes."""

    class Ended:
        def call(self, task: VideoTask, temporary: str, *given: object, **limits: object) -> None:
            (Path(temporary) / "film.mp4").write_bytes(b"a copy")
            raise WorkEnded("It took too long.")

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(video_task, "_process", Ended)
    (job,) = list_videos(str(source / "deep"))
    (row,) = VideoTask(str(tmp_path / "out")).run(job)
    assert row.reason == "It took too long."
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_name_whose_bytes_are_no_letters_costs_nothing(tmp_path: Path, done: list[str]) -> None:
    """A zip that was packed elsewhere has such names."""
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "walk\udce9.mp4"):
        (tmp_path / "in" / name).write_text("<html>404</html>" * 99)
    annotate(str(tmp_path / "in"), str(tmp_path / "out"), refine=0)
    annotate(str(tmp_path / "in"), str(tmp_path / "out"), refine=0)
    assert done == ["a", "walk\udce9"]
    assert (tmp_path / "out" / "videos" / "walk%E9" / "summary.json").is_file()
    rows = pq.read_table(tmp_path / "out" / "annotations.parquet").to_pylist()
    assert [row["video"] for row in rows] == ["a", "walk\\udce9"]
