"""What an offline run of Weights & Biases holds: everything that a later `wandb sync` would send."""

import io
import json
import subprocess
import sys
import time

import pytest
import torch
import yaml
from PIL import Image

from video_ae.geometry.se3 import se3_exp
from video_ae.training.config import parse_run
from video_ae.training.train import _wandb_id, train
from video_ae.training.validation_figure import camera_plot, comparison
from video_ae.types import CameraEstimate, Cameras, ModelOutput, VideoClip
from video_ae.videos.open import open_video


@pytest.fixture
def offline(arguments, monkeypatch, tmp_path):
    """The folder of a run that was logged offline."""
    for name in ("DIR", "MODE", "API_KEY"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    import wandb

    try:
        run = train(parse_run([*arguments, "--wandb", "offline"]))
    except (wandb.errors.CommError, wandb.errors.UsageError, OSError) as error:
        pytest.skip(f"wandb cannot start here: {error}")
    finally:
        wandb.finish()
    folder = next((run / "wandb").glob("offline-run-*"))
    until = time.monotonic() + 60
    while "exit" not in kinds(folder) and time.monotonic() < until:
        time.sleep(0.1)  # wandb's own process may still be writing the file after `finish`
    return folder


def messages(content):
    """The records of a .wandb file, as far as it is written: LevelDB's log format, blocks of 32 kB in which a record
    may come in parts."""
    place, whole = 7, b""  # after the file's own header
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        if place + 7 + length > len(content):
            return  # still being written
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield whole
            whole = b""


def sent(folder):
    """(kind, record) of all that stands in the file that is sent."""
    from wandb.proto.wandb_internal_pb2 import Record

    for message in messages(next(folder.glob("run-*.wandb")).read_bytes()):
        record = Record.FromString(message)
        yield record.WhichOneof("record_type"), record


def kinds(folder):
    return {kind for kind, _ in sent(folder)}


def records(folder):
    """(configuration, names of what was logged) as they stand in the file that is sent."""
    config, names = {}, set()
    for kind, record in sent(folder):
        if kind in ("config", "run"):  # what is known when the run begins stands in its own record
            update = record.config.update if kind == "config" else record.run.config.update
            config |= {item.key: json.loads(item.value_json) for item in update}
        if kind == "history":
            names |= {item.key or item.nested_key[0] for item in record.history.item}
    return config, names


def test_an_offline_run_holds_numbers_pictures_videos_and_the_configuration(offline):
    config, names = records(offline)
    saved = yaml.safe_load((offline.parents[1] / "config.yaml").read_text())
    assert config["seed"] == saved["seed"]
    assert config["data"]["length"] == 3
    assert config["model"]["class_path"] == "tiny_model.TinyAutoencoder"
    assert {"train/loss", "train/psnr", "validation/psnr", "validation", "validation_clip"} <= names
    videos = sorted(offline.glob("files/media/videos/*.mp4"))
    assert len(videos) == 2  # at steps 4 and 8
    assert open_video(videos[0]).image_size == (64, 24)
    assert len(list(offline.glob("files/media/images/*.png"))) == 2


def test_a_resumed_training_goes_on_in_the_same_run(offline):
    """wandb 0.31 draws a new id unless it is told one: the two halves would stand beside one another as two runs."""
    run = offline.parents[1]
    train(parse_run(["--resume", "--out", str(run), "--trainer.max_steps=10"]))
    folders = list((run / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    assert len({folder.name.split("-")[3] for folder in folders}) == 1  # within one second "-1" follows


@pytest.mark.parametrize("name", ["offline-run-20261130_003705-qalud3y9-1", "run-20261130_003705-qalud3y9"])
def test_the_run_that_goes_on_is_known_by_its_folder(tmp_path, name):
    (tmp_path / "wandb" / name).mkdir(parents=True)
    assert _wandb_id(tmp_path) == "qalud3y9"


def test_sync_reads_the_run_and_asks_only_for_a_key(offline, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's own key, and nobody's server
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    command = [sys.executable, "-m", "wandb", "sync", str(offline)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert "api key" in said.lower() or "log in" in said.lower() or "login" in said.lower()


def test_nothing_of_it_without_being_asked(arguments):
    run = train(parse_run(arguments))
    assert not (run / "wandb").exists()


def clip_and_reconstruction(camera=True):
    torch.manual_seed(0)
    clip = VideoClip(torch.rand(2, 4, 3, 12, 16), torch.arange(4).expand(2, 4), torch.zeros(2, 4))
    targets = torch.tensor([3, 1])
    pose = se3_exp(0.1 * torch.randn(2, 4, 6))
    cameras = Cameras(pose, torch.full((2, 4, 4), 0.7))
    estimate = CameraEstimate(cameras, torch.ones(2, 4, 2, 2), torch.ones(2, 4), torch.eye(6).expand(2, 4, 6, 6))
    return clip, ModelOutput(clip.frames[:, targets] + 0.1, targets, camera=estimate if camera else None)


def test_the_video_shows_the_first_clip_in_order_beside_its_rendering():
    clip, reconstruction = clip_and_reconstruction()
    video = comparison(clip, reconstruction)
    assert torch.equal(video[..., :16], clip.frames[0, [1, 3]])
    torch.testing.assert_close(video[..., 16:], (clip.frames[0, [1, 3]] + 0.1).clamp(0, 1))


def test_cameras_are_plotted_where_there_are_any():
    content = io.BytesIO()
    camera_plot(clip_and_reconstruction()[1]).savefig(content)
    picture = Image.open(content)
    assert picture.width == 720
    assert len(picture.convert("RGB").getcolors(100_000)) > 20
    assert camera_plot(clip_and_reconstruction(camera=False)[1]) is None
