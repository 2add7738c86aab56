"""The video of a reconstruction is found again from any folder, and no other is taken for it; clocks are kept."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from wave_walk import SIZE, write_fake_weights

from video_ae.errors import UserError
from video_ae.pipelines.reconstruct import export_reconstruction, reconstruct_video, render_path
from video_ae.scene.fingerprint import fingerprint
from video_ae.videos.writer import write_video

COUNT = 5


def frames(seed: int) -> torch.Tensor:
    coarse = torch.rand(COUNT, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, SIZE[::-1], mode="bilinear")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reconstruction of a video that was given by a relative path."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    write_fake_weights(tmp_path / "w.safetensors")
    write_video(tmp_path / "here" / "walk.mp4", frames(0), 25.0)
    monkeypatch.chdir(tmp_path / "here")
    reconstruct_video(Path("walk.mp4"), Path("r"), tmp_path / "w.safetensors", refine=0, export=["none"])
    return tmp_path


def test_a_relative_path_is_found_from_another_folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(made / "there" / "walk.mp4", frames(1), 25.0)  # of the same name, size and length
    monkeypatch.chdir(made / "there")
    export_reconstruction(Path("../here/r"), ["nerfstudio"], Path("out"))
    image = np.asarray(Image.open("out/images/000000.jpg"), np.float32) / 255
    right, wrong = (np.abs(image - frames(seed)[0].permute(1, 2, 0).numpy()).mean() for seed in (0, 1))
    assert right < 0.05 < 0.1 < wrong


def test_another_video_in_its_place_is_refused_unless_it_is_named(made: Path, caplog) -> None:
    write_video(made / "here" / "walk.mp4", frames(1), 25.0)
    with pytest.raises(UserError, match="not the video that was reconstructed"):
        export_reconstruction(made / "here" / "r", ["nerfstudio"], made / "out")
    assert not list((made / "out").glob("*")), "nothing half-written"
    export_reconstruction(made / "here" / "r", ["nerfstudio"], made / "out", source=made / "here" / "walk.mp4")
    assert ["other bytes" in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    render_path(made / "here" / "r", "orbit", made / "orbit.mp4", frames=2)
    assert "(its bytes differ), so views take the small frames beside" in caplog.text


def test_a_result_of_before_there_was_a_fingerprint_is_read(made: Path) -> None:
    summary = json.loads((made / "here" / "r" / "summary.json").read_text())
    del summary["settings"]["fingerprint"], summary["settings"]["start"]
    (made / "here" / "r" / "summary.json").write_text(json.dumps(summary))
    assert export_reconstruction(made / "here" / "r", ["nerfstudio", "tum"], made / "out")


def test_a_copy_has_the_same_fingerprint_and_another_end_another_one(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(3 * 2**18)
    (tmp_path / "a.mp4").write_bytes(content)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    (tmp_path / "c.mp4").write_bytes(content[:-1] + b"x")
    (tmp_path / "d.mp4").write_bytes(b"x" + content[1:])
    prints = [fingerprint(tmp_path / f"{name}.mp4") for name in "abcd"]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_of_a_folder_names_count_and_the_first_and_last_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGB", (8, 6), (40 * number, 0, 0)).save(tmp_path / name / f"{number}.png")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    Image.new("RGB", (8, 6), (9, 9, 9)).save(tmp_path / "b" / "2.png")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")


@pytest.mark.parametrize("by", ["name", "list"])
def test_time_stamps_of_images_stand_in_cameras_tum(tmp_path: Path, by: str) -> None:
    """So that evo finds matches with a ground truth of the same clock."""
    stamps = [1548266466.2, 1548266466.25, 1548266466.3, 1548266466.35, 1548266466.4]
    write_fake_weights(tmp_path / "w.safetensors")
    (tmp_path / "rgb").mkdir()
    lines = []
    for number, (stamp, frame) in enumerate(zip(stamps, frames(0), strict=True)):
        name = f"{stamp}.png" if by == "name" else f"{9 - number}.png"
        Image.fromarray((frame.permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(tmp_path / "rgb" / name)
        lines.append(f"{stamp} rgb/{name}\n")
    if by == "list":
        (tmp_path / "rgb.txt").write_text("".join(lines))
    reconstruct_video(tmp_path / "rgb", tmp_path / "r", tmp_path / "w.safetensors", refine=0, stride=2, export=["tum"])
    rows = np.loadtxt(tmp_path / "r" / "cameras_tum.txt")
    np.testing.assert_allclose(rows[:, 0], stamps[::2], atol=1e-6)
    export_reconstruction(tmp_path / "r", ["tum"], tmp_path / "later")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "later" / "cameras_tum.txt")[:, 0], stamps[::2], atol=1e-6)
    evo = pytest.importorskip("evo.core.sync", reason="evo is not installed")
    trajectory = pytest.importorskip("evo.tools.file_interface").read_tum_trajectory_file(
        tmp_path / "r/cameras_tum.txt"
    )
    assert evo.associate_trajectories(trajectory, trajectory)[0].num_poses == 3
