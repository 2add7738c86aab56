"""`video-ae train --view` shows what is learnt and changes nothing of it."""

import http.client
from contextlib import closing
from http import HTTPStatus

import pytest
import torch

pytest.importorskip("viser")

from video_ae.cli.main import main
from video_ae.geometry.pinhole import project, transform
from video_ae.geometry.se3 import invert, se3_exp
from video_ae.models.open import load_model
from video_ae.training.config import parse_run
from video_ae.training.train import train
from video_ae.types import CameraEstimate, Cameras, ModelOutput, MultiplaneVolume, VideoClip
from video_ae.videos.writer import write_video
from video_ae.viewer.training_view import TrainingView, snapshot, structure_points

TOKEN = "a-token_of-16-09"


@pytest.fixture
def arguments(tmp_path):
    torch.manual_seed(0)
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "noise.mp4", torch.rand(12, 3, 24, 32))
    return [
        "--model", "tiny_model.TinyAutoencoder", "--losses.l1", "L1", f"--data.root={tmp_path / 'videos'}",
        "--data.size=[32,24]", "--data.length=3", "--data.batch_size=2", "--data.validation_clips=2",
        "--trainer.max_steps=6", "--trainer.validate_every=2", "--trainer.accelerator=cpu", "--trainer.log_every=1",
    ]  # fmt: skip


def scene():
    """A batch of clips with cameras, and a code that is opaque at one plane."""
    torch.manual_seed(0)
    batch = VideoClip(torch.rand(2, 4, 3, 12, 16), torch.arange(4).expand(2, 4), torch.zeros(2, 4))
    cameras = Cameras(se3_exp(0.1 * torch.randn(2, 4, 6)), torch.tensor([0.7, 0.9, 0.5, 0.5]).expand(2, 4, 4))
    estimate = CameraEstimate(cameras, torch.ones(2, 4, 2, 2), torch.ones(2, 4), torch.eye(6).expand(2, 4, 6, 6))
    density = torch.zeros(2, 3, 12, 16)
    density[:, 1, :, 4:] = 50.0
    features = torch.rand(2, 5, 3, 12, 16)
    planes = torch.tensor([[2.0, 0.5, 0.25]]).expand(2, 3)
    code = MultiplaneVolume(density, features, planes, cameras.select([2]))
    targets = torch.tensor([1, 3])
    return batch, ModelOutput(batch.frames[:, targets], targets, camera=estimate, structure=code)


def test_weights_are_the_same_seen_or_unseen(arguments, tmp_path, capfd):
    unseen = train(parse_run([*arguments, "--out", str(tmp_path / "unseen")]))
    assert main(["train", *arguments, "--view", "--token", TOKEN, "--out", str(tmp_path / "seen")]) == 0
    assert "ssh -L" in capfd.readouterr().err
    one, other = (load_model(run).state_dict() for run in (unseen, tmp_path / "seen"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    kept = (tmp_path / "seen" / "config.yaml").read_text()
    assert not any(word in kept for word in ("view", "host", "token"))


def test_the_page_of_a_training_can_have_a_token(arguments, tmp_path, monkeypatch, capfd):
    seen = []

    def training(settings, callbacks):
        for path in ("", callbacks[0].token, "another-token"):
            page = http.client.HTTPConnection("127.0.0.1", callbacks[0].port, timeout=30)
            page.request("GET", f"/{path}")
            seen.append(page.getresponse().status)
        return tmp_path

    monkeypatch.setattr("video_ae.viewer.training_view.train", training)
    start = ["train", *arguments, "--out", str(tmp_path / "run")]
    assert main([*start, "--view", "--token", "random"]) == 0
    assert main([*start, "--view", "--token", TOKEN]) == 0
    assert seen == [HTTPStatus.FORBIDDEN, HTTPStatus.OK, HTTPStatus.FORBIDDEN] * 2
    assert f"/{TOKEN} (Ctrl-C" in capfd.readouterr().err
    assert main([*start, "--view", "--token", "a b"]) == 2
    assert "(option --token)" in capfd.readouterr().err
    assert main([*start, "--token", TOKEN]) == 2
    assert "--view" in capfd.readouterr().err


def test_a_training_that_others_can_reach_has_a_token(capfd):
    with closing(TrainingView("0.0.0.0", port=0)) as view:
        assert f":{view.port}/{view.token}" in capfd.readouterr().err
    assert len(view.token) == 22


def test_every_validation_is_drawn(arguments, tmp_path):
    view = TrainingView(port=0)
    try:
        train(parse_run([*arguments, "--out", str(tmp_path / "run")]), [view])
    finally:
        view.close()
    assert view.drawn >= 1


def test_a_snapshot_is_a_copy():
    batch, output = scene()
    before = snapshot(7, batch, output)
    first = before.structure.density.clone()
    poses = before.cameras.world_from_camera.clone()
    output.structure.density.zero_()
    output.camera.cameras.world_from_camera.zero_()
    assert torch.equal(before.structure.density, first)
    assert torch.equal(before.cameras.world_from_camera, poses)
    assert torch.equal(before.target, (batch.frames[0, 3] * 255).round().byte())


def test_points_lie_where_the_code_is_opaque_and_have_its_colour():
    _, output = scene()
    one = output.structure[0]
    points, colours = structure_points(one)
    assert len(points) == 12 * 12  # four of sixteen columns are empty
    local = transform(invert(one.reference.world_from_camera[0]), points)
    torch.testing.assert_close(local[:, 2], torch.full((144,), 2.0), atol=1e-4, rtol=0)
    uv = project(local, one.reference.intrinsics[0].expand(144, 4))
    assert uv[:, 0].min() > 0.25
    torch.testing.assert_close(colours.float() / 255, one.features[:3, 1, :, 4:].flatten(1).T, atol=3e-3, rtol=0)


def test_a_page_that_fails_does_not_end_the_training(arguments, tmp_path, monkeypatch, capfd):
    def fail(*_):
        raise RuntimeError("no page")

    monkeypatch.setattr("video_ae.viewer.training_view.draw_snapshot", fail)
    view = TrainingView(port=0)
    try:
        train(parse_run([*arguments, "--out", str(tmp_path / "run")]), [view])
    finally:
        view.close()
    assert "could not be shown" in capfd.readouterr().err


def test_a_second_page_takes_the_next_port_and_scenes_are_drawn():
    from video_ae.viewer.training_view import draw_snapshot

    first = TrainingView(port=0)
    second = TrainingView(port=first.port)
    try:
        assert second.port > first.port
        batch, output = scene()
        draw_snapshot(second._page, snapshot(3, batch, output))
        assert second._page.scene.get_handle_by_name("/cameras/3") is not None
        assert len(second._page.scene.get_handle_by_name("/points").points) == 144
    finally:
        first.close()
        second.close()
