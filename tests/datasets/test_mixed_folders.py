"""Folders of scenes of which some have no cameras, no images or an unknown lens: none makes the others useless."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import test_kitti_odometry as kitti
import test_replica as replica
from posed_world import COUNT, dot_error, write_images
from test_lost_poses import INTRINSICS, write_colmap, write_nerfstudio, write_replica, write_seven_scenes, write_tum

from video_ae.datasets.colmap_model import ColmapModels
from video_ae.datasets.open import open_dataset
from video_ae.datasets.video_folder import VideoFolder
from video_ae.evaluation.protocols.with_truth import NO_CAMERAS, clips_with_truth

ZERO = 0.0


def test_kittis_download(tmp_path: Path) -> None:
    for name in ("00", "11", "12"):
        kitti.write_sequence(tmp_path, name)
    (tmp_path / "poses" / "11.txt").unlink()
    shutil.rmtree(tmp_path / "sequences" / "12" / "image_2")
    source = clips_with_truth(open_dataset(tmp_path))
    assert source.names == ["00"]
    assert source.skipped["11"] == NO_CAMERAS
    assert "neither image_2 nor image_0" in source.skipped["12"]
    assert dot_error(source.load(0)) < 1


def test_a_fisheye_among_colmap_scenes(tmp_path: Path) -> None:
    for name in ("good", "fisheye"):
        write_colmap(tmp_path / name, ZERO)
    cameras = tmp_path / "fisheye" / "sparse" / "0" / "cameras.txt"
    cameras.write_text(cameras.read_text().replace("PINHOLE", "OPENCV_FISHEYE").rstrip() + " 0 0 0 0\n")
    source = clips_with_truth(open_dataset(tmp_path))
    assert (source.names, source.skipped) == (["good"], {"fisheye": NO_CAMERAS})


def test_a_sequence_of_tums_without_its_truth(tmp_path: Path) -> None:
    write_tum(tmp_path, ZERO)
    shutil.copytree(next(tmp_path.iterdir()), tmp_path / "validation")
    (tmp_path / "validation" / "groundtruth.txt").unlink()
    source = open_dataset(tmp_path)
    assert len(source) == 2, "training uses both"
    assert clips_with_truth(source).skipped == {"validation": NO_CAMERAS}


@pytest.mark.parametrize("write", [write_colmap, write_nerfstudio, write_replica, write_seven_scenes])
def test_a_scene_without_frames_is_skipped_and_one_without_cameras_has_frames(
    tmp_path: Path, write: Callable[[Path, float], Path]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, ZERO)
    if write is write_replica:
        for name in ("a", "b"):  # the scene lies one folder deeper
            shutil.copytree(tmp_path / name / "room0", tmp_path / f"{name}{name}")
            shutil.rmtree(tmp_path / name)
        (tmp_path / "cam_params.json").write_text(json.dumps({"camera": replica.CAMERA}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("to be done")
    write_images([tmp_path / "failed" / "images" / f"{number}.png" for number in range(COUNT)], INTRINSICS)
    source = open_dataset(tmp_path)
    assert not isinstance(source, VideoFolder)
    assert "It has 0 frames" in source.skipped["empty"]
    assert source.names[-1] == "failed"
    assert source.frame_count(len(source) - 1) == COUNT
    measured = clips_with_truth(source)
    assert len(measured) == 2
    assert measured.skipped["failed"] == NO_CAMERAS


def test_scenes_among_more_folders_of_other_things_are_videos(tmp_path: Path) -> None:
    """The folder that `reconstruct` wrote beside videos must not hide them."""
    write_colmap(tmp_path / "result", ZERO)
    for name in ("one", "two"):
        write_images([tmp_path / name / f"{number}.png" for number in range(COUNT)], INTRINSICS)
    assert isinstance(open_dataset(tmp_path), VideoFolder)
    shutil.rmtree(tmp_path / "two")
    (tmp_path / "one" / "clip.mp4").touch()
    assert not ColmapModels.recognises(tmp_path), "the video would be lost"
