"""Training on annotated videos and on shards of them solves nothing, and sees the cameras that are stored."""

import gc
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
import torch
from annotated_folder import made_up_estimate, write_annotated
from prepared_videos import pan, write

from video_ae.camera.solver import CameraSolver
from video_ae.datasets.annotation_files import CAMERAS_VERSION
from video_ae.datasets.byte_clips import finish_batch
from video_ae.datasets.open import open_dataset
from video_ae.datasets.stored_cameras import (
    GRID,
    cut,
    estimate_from,
    mirrored,
    of_clip,
    on_grid,
    rows_of,
)
from video_ae.datasets.training_clips import MemoryVideos, RandomClips
from video_ae.errors import UserError
from video_ae.geometry.pinhole import pixel_centres, project, unproject
from video_ae.geometry.resize import plan_resizing
from video_ae.models.open import load_video_model
from video_ae.preparation.prepare import prepare
from video_ae.scene.fingerprint import fingerprint
from video_ae.training.config import parse_run
from video_ae.training.train import train
from video_ae.types import CameraEstimate

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow, which reads the table, is not installed")
SIZE = (32, 32)


def flow(estimate: CameraEstimate) -> torch.Tensor:
    """Where the middle of each cell of the first frame is seen in the second, relative to the image."""
    cameras = estimate.cameras
    rows, columns = estimate.inverse_depth.shape[-2:]
    lenses = cameras.intrinsics[:, None, None].expand(2, rows, columns, 4)
    points = unproject(pixel_centres(rows, columns), lenses[0]) / estimate.inverse_depth[0][..., None]
    second_from_first = cameras.camera_from_world[1] @ cameras.world_from_camera[0]
    return project(points @ second_from_first[:3, :3].mT + second_from_first[:3, 3], lenses[1])


def test_a_clip_has_the_first_frame_as_its_world_and_the_same_flow() -> None:
    whole = on_grid(made_up_estimate(9))
    clip = of_clip(whole.select([5, 2]))
    torch.testing.assert_close(clip.cameras.world_from_camera[0], torch.eye(4))
    assert clip.inverse_depth.mean().item() == pytest.approx(1)
    torch.testing.assert_close(flow(clip), flow(whole.select([5, 2])), atol=1e-4, rtol=1e-4)


def test_a_mirrored_clip_has_mirrored_flow() -> None:
    clip = of_clip(on_grid(made_up_estimate(2)))
    expected = flow(clip).flip(1) * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    torch.testing.assert_close(flow(mirrored(clip)), expected, atol=1e-4, rtol=1e-4)


def test_a_cut_shows_the_flow_of_the_middle() -> None:
    whole = on_grid(made_up_estimate(2))
    flat = replace(whole, inverse_depth=torch.full_like(whole.inverse_depth, 0.7))
    middle = flow(cut(flat, plan_resizing((96, 64), (32, 64), "crop")))  # the middle third of the width
    assert GRID[0] % 2 == 0
    expected = flow(flat)
    for column in (GRID[0] // 2 - 1, GRID[0] // 2):  # beside the middle: a third of a cell from it instead of one half
        u = (expected[:, [GRID[0] // 2 - 1, GRID[0] // 2]].mean(1) + (column - GRID[0] / 2 + 0.5) / 3 * (
            expected[:, GRID[0] // 2] - expected[:, GRID[0] // 2 - 1]
        ))  # fmt: skip
        torch.testing.assert_close(middle[:, column, 0], u[:, 0] * 3 - 1, atol=1e-3, rtol=0)
        torch.testing.assert_close(middle[:, column, 1], u[:, 1], atol=1e-3, rtol=0)


def test_rows_of_a_file_hold_the_estimate() -> None:
    estimate = on_grid(made_up_estimate(3))
    found = estimate_from(rows_of(estimate))
    torch.testing.assert_close(found.cameras.world_from_camera, estimate.cameras.world_from_camera)
    torch.testing.assert_close(found.inverse_depth, estimate.inverse_depth, atol=1e-3, rtol=1e-3)


def in_a_bucket(tmp_path: Path) -> str:
    """The address of annotations in object storage; nothing of them is on the disk."""
    write(tmp_path / "videos" / "film.mp4", pan(0, 14), pan(1, 16))
    folder, _ = write_annotated(tmp_path, f"memory://{tmp_path.name}/videos/film.mp4")
    storage = fsspec.filesystem("memory")
    storage.put(str(tmp_path / "videos"), f"/{tmp_path.name}/videos", recursive=True)
    storage.put(str(folder), f"/{tmp_path.name}/annotated", recursive=True)
    for name in ("videos", "annotated"):
        shutil.rmtree(tmp_path / name)
    return f"memory://{tmp_path.name}/annotated"


@pytest.fixture(params=["raw", "packed", "bucket", "packed from a bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    folder = in_a_bucket(tmp_path) if "bucket" in request.param else write_annotated(tmp_path)[0]
    if "packed" not in request.param:
        return folder
    prepare(folder, tmp_path / "packed", size=48)
    return tmp_path / "packed"


def test_copies_of_videos_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    root = in_a_bucket(tmp_path)

    source = open_dataset(root)
    for number in (0, 1):
        source.load(number, [0, 13])
        source.stored_cameras(number)
    gc.collect()
    left = [path.name for path in (tmp_path / "temporary").rglob("*.*")]
    assert left == ["film.mp4"]  # of the shot that is open


def test_a_video_that_left_its_bucket_is_skipped(tmp_path: Path) -> None:
    root = in_a_bucket(tmp_path)
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}/videos", recursive=True)
    with pytest.raises(UserError, match=r"None of 2 videos can be used; .*film.mp4' cannot be reached"):
        MemoryVideos(open_dataset(root), SIZE, 6)


def test_a_bucket_without_annotations_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no annotations: annotate the videos"):
        prepare("memory://nothing/here", tmp_path / "packed")


def clips_of(root: Path | str) -> RandomClips:
    source = open_dataset(root)
    return RandomClips(MemoryVideos(source, SIZE, 6) if source.stored_cameras(0) else source, 6)


def test_training_solves_nothing(root: Path | str) -> None:
    clips = clips_of(root)
    assert list(clips.videos.names) == ["film#0", "film#1"]
    assert "cannot be read" in clips.videos.skipped["broken"]
    model = load_video_model(None, torch.device("cpu")).train()
    model._cached_cameras = lambda frames: pytest.fail("cameras were solved")
    batch = finish_batch([clips[0], clips[1]], SIZE, augment_seed=0)
    output = model(batch)
    assert output.frames.isfinite().all()
    assert output.camera.cameras.world_from_camera.shape == (2, 6, 4, 4)


def test_a_clip_gets_the_cameras_of_its_frames(root: Path | str) -> None:
    clips = clips_of(root)
    for position in range(4):
        clip = clips[position]
        shot = int(clip.name[-1])
        whole = on_grid(made_up_estimate(16 if shot else 14, shot))
        expected = of_clip(cut(whole.select(clip.indices), plan_resizing((96, 64), SIZE, "crop")))
        found = finish_batch([clip], SIZE).estimate[0]
        torch.testing.assert_close(found.cameras.intrinsics, expected.cameras.intrinsics, atol=0.02, rtol=0)
        poses = found.cameras.world_from_camera, expected.cameras.world_from_camera
        torch.testing.assert_close(*poses, atol=5e-3, rtol=0)


def test_cameras_of_another_version_are_found_anew_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, _ = write_annotated(tmp_path, version=CAMERAS_VERSION + 1)
    with caplog.at_level(logging.WARNING):
        source = open_dataset(folder)
    assert "1 of 2 shots have cameras of another version, which are found anew" in caplog.text
    assert [source.stored_cameras(number) is not None for number in range(2)] == [True, False]
    prepare(folder, tmp_path / "packed", size=48)
    packed = open_dataset(tmp_path / "packed")
    assert [packed.read(number, [0, 1]).estimate is not None for number in range(2)] == [True, False]
    about = json.loads((tmp_path / "packed" / "packed.json").read_text())
    (tmp_path / "packed" / "packed.json").write_text(json.dumps({**about, "cameras": CAMERAS_VERSION + 1}))
    assert open_dataset(tmp_path / "packed").read(0, [0, 1]).estimate is None


def test_a_query_on_the_table_is_a_data_set(tmp_path: Path) -> None:
    folder, _ = write_annotated(tmp_path)
    table = parquet.read_table(folder / "annotations.parquet", filters=[("segment", "=", 1)])
    parquet.write_table(table, folder / "good.parquet")
    source = open_dataset(folder / "good.parquet")
    assert list(source.names) == ["film#1"]
    assert source.load(0, [0, 15]).frames.shape == (2, 3, 64, 96)


def test_a_training_on_the_rows_of_a_query_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = write_annotated(tmp_path)
    table = parquet.read_table(folder / "annotations.parquet", filters=[("confidence", ">", 0.7)])
    parquet.write_table(table, folder / "good.parquet")
    monkeypatch.setattr(CameraSolver, "solve", lambda *given: pytest.fail("cameras were solved"))
    small = ["--data.size=[32,32]", "--data.length=6", "--data.validation_root=null", "--data.batch_size=2"]
    quick = ["--model.init_args.planes=4", "--trainer.max_steps=2", "--trainer.accumulate=1", "--data.workers=0"]
    given = ["--config", "configs/perspective.yaml", "--data.root", str(folder / "good.parquet"), *small, *quick]
    run = train(parse_run([*given, "--trainer.accelerator=cpu", "--out", str(tmp_path / "run")]))
    assert (run / "weights.safetensors").is_file()


def test_what_is_no_table_and_what_is_gone_is_named(tmp_path: Path) -> None:
    folder, _ = write_annotated(tmp_path)
    (tmp_path / "videos" / "film.mp4").unlink()
    with pytest.raises(UserError, match=r"None of 3 shots .* broken"):
        open_dataset(folder)
    (folder / "annotations.parquet").write_text("<html>404</html>")
    with pytest.raises(UserError, match="is no table of annotations"):
        open_dataset(folder)


@pytest.mark.parametrize("parts", [(pan(0, 14), pan(2, 16)), (pan(0, 14), pan(1, 4))], ids=["other frames", "shorter"])
def test_another_video_in_the_place_of_the_annotated_one_is_not_given_its_cameras(tmp_path: Path, parts: tuple) -> None:
    film = write(tmp_path / "videos" / "film.mp4", pan(0, 14), pan(1, 16))
    folder, _ = write_annotated(tmp_path, str(film), checksum=fingerprint(film))
    assert len(open_dataset(folder).open(1)) == 16
    write(film, *parts)
    with pytest.raises(UserError, match="not the video that was annotated"):
        open_dataset(folder).open(1)
