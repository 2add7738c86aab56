"""follow, stabilize, interpolate and animate through the command line, with a model that makes things up."""

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from fake_scene_model import FakeSceneModel
from PIL import Image
from wave_walk import SIZE, waves, write_fake_weights

from video_ae import cli
from video_ae.cli.motion_commands import _report_path
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.se3 import invert, rigid, rotation_angle, so3_exp
from video_ae.pipelines.audio import has_sound, write_video_with_sound
from video_ae.pipelines.follow import FAR, FollowReport, scaled_motion, seen_parts
from video_ae.pipelines.inputs import open_image
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.single_image import guess_inverse_depth, image_camera, image_scene
from video_ae.scene.source import Source
from video_ae.types import CameraEstimate, Cameras, MultiplaneVolume, Scene, VideoClip
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

COUNT, RATE = 9, 25


def add_tone(silent: Path, path: Path, codec: str) -> None:
    """The same pictures with a second of a tone."""
    wave = (8000 * np.sin(np.arange(44100) * 0.0627)).astype(np.int16)[None]
    with av.open(str(silent)) as source, av.open(str(path), "w") as out:
        track = out.add_stream_from_template(source.streams.video[0])
        sound = out.add_stream(codec, 44100, layout="mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        resampler = av.AudioResampler(format=sound.format, layout="mono", rate=44100, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(sound.encode(part))
        out.mux(sound.encode())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Videos (moving, still, with sound of two kinds), a picture, weights. Tests write into `out` only."""
    root = tmp_path_factory.mktemp("motion")
    for name, speed in (("moving", 0.02), ("still", 0.0)):
        write_fake_weights(root / name / "weights.safetensors", speed=speed)
    write_video(root / "walk.mp4", waves(COUNT), RATE)
    write_video(root / "one.mp4", waves(COUNT)[:1], RATE)
    add_tone(root / "walk.mp4", root / "aac.mp4", "aac")
    add_tone(root / "walk.mp4", root / "pcm.mkv", "pcm_s16le")
    Image.fromarray((waves(COUNT)[0] * 255).byte().permute(1, 2, 0).contiguous().numpy()).save(root / "picture.png")
    (root / "text.png").write_text("no image")
    (root / "there.mp4").write_text("mine")
    return root


@pytest.fixture
def run(root, tmp_path, monkeypatch, capsys):
    """Runs a line in the folder of the inputs; OUT stands for a fresh folder. (code, stdout, stderr)"""

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.chdir(root)
        code = cli.main(line.replace("OUT", str(tmp_path)).split())
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def seconds_of_sound(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(stream)) / stream.rate


def test_stabilize_is_calmer_and_says_by_how_much(run, tmp_path):
    code, said, _ = run("stabilize aac.mp4 --out OUT/calm.mp4 --weights moving --refine 0 --smooth 0.1")
    assert code == 0
    report = json.loads((tmp_path / "calm.json").read_text())
    assert report["after"]["angular_acceleration"] < 0.7 * report["before"]["angular_acceleration"]
    assert report["after"]["translational_acceleration"] < 0.9 * report["before"]["translational_acceleration"]
    assert f"{report['before']['angular_acceleration']:.1f} -> {report['after']['angular_acceleration']:.1f}" in said
    assert report["smooth_seconds"] == 0.1
    assert 1 <= report["zoom"] <= 1.25
    video = open_video(tmp_path / "calm.mp4")
    assert (len(video), video.image_size) == (COUNT, SIZE)
    assert video.times[1].item() == pytest.approx(1 / RATE, abs=1e-3)
    assert report["sound"]
    assert seconds_of_sound(tmp_path / "calm.mp4") == pytest.approx(COUNT / RATE, abs=0.06)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm.json", "calm.mp4"]


def test_the_report_of_stabilize_replaces_nothing_unasked(run, tmp_path):
    (tmp_path / "calm.json").write_text("mine")
    code, _, says = run("stabilize aac.mp4 --out OUT/calm.mp4 --weights moving --refine 0")
    assert (code, (tmp_path / "calm.json").read_text()) == (2, "mine")
    assert "calm.json' exists" in says
    assert "(option --overwrite)" in says


def test_a_locked_camera_does_not_move(run, tmp_path):
    assert run("stabilize walk.mp4 --out OUT/calm.mp4 --weights moving --refine 0 --lock --frames 7")[0] == 0
    report = json.loads((tmp_path / "calm.json").read_text())
    assert report["after"] == {"angular_acceleration": 0.0, "translational_acceleration": 0.0}
    assert report["smooth_seconds"] is None
    assert not report["sound"]
    assert not has_sound(tmp_path / "calm.mp4")
    assert len(open_video(tmp_path / "calm.mp4")) == 7


@pytest.mark.parametrize("source", ["aac.mp4", "pcm.mkv"])
def test_interpolate_keeps_frames_length_and_sound(run, tmp_path, source):
    assert run(f"interpolate {source} --factor 3 --out OUT/slow.mp4 --weights moving --refine 0")[0] == 0
    video = open_video(tmp_path / "slow.mp4")
    assert (len(video), video.image_size) == (3 * COUNT, SIZE)
    assert (video.times[-1] + video.times[1]).item() == pytest.approx(COUNT / RATE, abs=2e-3)
    frames = video.read(range(0, 3 * COUNT, 3)).float() / 255
    assert (frames - waves(COUNT)).abs().mean() < 0.03
    new = video.read([13])[0].float() / 255
    assert (new - waves(COUNT)[4]).abs().mean() > 0.003
    assert seconds_of_sound(tmp_path / "slow.mp4") == pytest.approx(COUNT / RATE, abs=0.06)


def test_the_times_of_a_variable_rate_stay_with_the_sound(root, run, tmp_path):
    times = torch.tensor([0, 1, 2, 6, 7, 8, 12, 13, 14]).double() / RATE  # a phone in the dark
    write_video(tmp_path / "silent.mp4", waves(COUNT), times=times)
    add_tone(tmp_path / "silent.mp4", tmp_path / "uneven.mp4", "aac")
    halfway = (times + torch.cat([times[1:], times[-1:] + 1 / RATE])) / 2
    for line, expected in (
        ("stabilize OUT/uneven.mp4 --smooth 0.1", times),
        ("interpolate OUT/uneven.mp4 --factor 2", torch.stack([times, halfway], 1).flatten()),
        ("follow --motion OUT/uneven.mp4 --scene walk.mp4 --scale 0.5", times),
    ):
        assert run(f"{line} --out OUT/x.mp4 --overwrite --weights moving --refine 0")[0] == 0
        torch.testing.assert_close(open_video(tmp_path / "x.mp4").times, expected, atol=1e-3, rtol=0)
        assert seconds_of_sound(tmp_path / "x.mp4") == pytest.approx(15 / RATE, abs=0.06)


def damaged(*_):
    raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input")


@pytest.mark.parametrize("known", [False, True])
def test_sound_that_cannot_be_read_costs_the_sound_alone(root, tmp_path, monkeypatch, caplog, known):
    """A codec that FFmpeg does not know, and sound that turns out to be damaged."""
    source = tmp_path / "odd.mkv"
    content = (root / "pcm.mkv").read_bytes()
    source.write_bytes(content if known else content.replace(b"A_PCM/INT/LIT", b"A_QQQ/INT/LIT"))
    if known:
        monkeypatch.setattr("video_ae.pipelines.audio._write_sound", damaged)
    times = torch.arange(COUNT, dtype=torch.float64) / RATE
    assert has_sound(source) == known
    frames = (255 * waves(COUNT)).byte()
    assert not write_video_with_sound(tmp_path / "out.mp4", frames, times, source)
    assert len(open_video(tmp_path / "out.mp4")) == COUNT
    assert ("so the result has none" in caplog.text) == known
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.mkv", "out.mp4"]


def test_every_second_frame_lasts_twice_as_long(run, tmp_path):
    assert (
        run("interpolate walk.mp4 --factor 2 --stride 2 --out OUT/x.mp4 --weights moving --refine 0 --size 24")[0] == 0
    )
    video = open_video(tmp_path / "x.mp4")
    assert (len(video), video.image_size) == (10, (32, 24))
    assert video.times[1].item() == pytest.approx(1 / RATE, abs=1e-3)


def encode_image(self, frame, focal_over_width=None) -> Scene:
    """From what a structure network might say of one image: half here, half there, on every ray alike."""
    camera = image_camera(frame, focal_over_width)
    density = torch.tensor([0.0, 0.7, 0.0, 9.0]).view(4, 1, 1).expand(4, *frame.shape[-2:])
    features = frame[:, None].expand(3, 4, *frame.shape[-2:])
    code = MultiplaneVolume(density, features, torch.tensor([2.0, 1.5, 1.0, 0.5]), camera)
    return image_scene(frame, camera, guess_inverse_depth(code))


@pytest.mark.parametrize("scene", ["walk.mp4", "picture.png"])
def test_follow_shows_the_scene_at_the_pace_and_with_the_sound_of_the_motion(run, tmp_path, monkeypatch, scene):
    monkeypatch.setattr(FakeSceneModel, "encode_image", encode_image)
    line = f"follow --motion aac.mp4 --scene {scene} --out OUT/x.mp4 --refine 0 --frames 5 --scale 0.5"
    code, said, error = run(f"{line} --weights moving")
    assert code == 0, error
    assert "of the images were seen" in said
    video = open_video(tmp_path / "x.mp4")
    assert (len(video), video.image_size) == (5, SIZE)
    assert seconds_of_sound(tmp_path / "x.mp4") == pytest.approx(5 / RATE, abs=0.06)
    first = video.read([0])[0].float() / 255
    nearest = min((first - picture).abs().mean().item() for picture in waves(COUNT))
    assert nearest < 0.05  # it starts at one of the scene's own frames


def test_a_scaled_motion_is_shorter_and_rotates_less():
    """A camera that circles a point, looking at it, circles a part of the way."""
    angle = torch.linspace(0, 1.5 * torch.pi, 40, dtype=torch.float64)
    turn = so3_exp(angle[:, None] * torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    circle = rigid(turn, -2 * turn[:, :, 2])  # it looks along z, at the origin
    cameras = Cameras(invert(circle[:1]) @ circle, torch.ones(40, 4))
    part = circle[:1] @ scaled_motion(cameras, 0.1).world_from_camera
    turned = torch.rad2deg(rotation_angle(part[0, :3, :3].mT @ part[:, :3, :3]))
    torch.testing.assert_close(turned, torch.linspace(0, 27, 40, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(part[:, :3, 3], -2 * part[:, :3, 2], atol=0.06, rtol=0)
    torch.testing.assert_close(scaled_motion(cameras, 1.0).world_from_camera, cameras.world_from_camera)


def test_a_motion_that_is_too_large_is_made_smaller_unless_somebody_says_how_large(run, root, monkeypatch):
    monkeypatch.setattr(FakeSceneModel, "encode_image", encode_image)
    write_fake_weights(root / "slow" / "weights.safetensors", speed=0.005)
    write_fake_weights(root / "fast" / "weights.safetensors", speed=0.06)
    line = "follow --motion walk.mp4 --scene picture.png --refine 0 --frames 5 --out OUT/"
    said = {}
    for name, rest in (("slow", "--weights slow"), ("fast", "--weights fast"), ("all", "--weights fast --scale 1")):
        code, said[name], error = run(f"{line}{name}.mp4 {rest}")
        assert code == 0, error
    assert [name for name in said if "A smaller motion" in said[name]] == ["fast"]
    far = {name: float(re.search(r"farthest is ([0-9.]+)", text)[1]) for name, text in said.items()}
    assert far["slow"] < far["fast"] <= FAR < far["all"]


def test_moving_back_shows_what_no_frame_has_seen(root):
    """At half of the depth more to go, a picture's sides are 1.5 times as long as what the frame saw."""
    camera = Cameras(torch.eye(4)[None], pinhole_intrinsics(torch.tensor([0.8]), 64, 48))
    estimate = CameraEstimate(camera, torch.ones(1, 6, 8), torch.ones(1), torch.zeros(1, 6, 6))
    clip = VideoClip(torch.zeros(1, 3, 48, 64), torch.zeros(1, dtype=torch.long), torch.zeros(1))
    reader = open_image(root / "picture.png")
    source = Source(reader.name, reader.image_size, lambda: reader)
    shown = Reconstruction(FakeSceneModel(), Scene(clip, estimate, (0,), ()), source)
    back = Cameras(torch.eye(4).repeat(2, 1, 1), camera.intrinsics.expand(2, 4))
    back.world_from_camera[1, 2, 3] = -0.5
    stays, goes = seen_parts(shown, back).tolist()
    assert stays > 0.85  # it fades out at the borders
    assert goes == pytest.approx(1 / 1.5**2, abs=0.06)


@pytest.mark.parametrize("path", ["spiral", "dolly", "orbit"])
def test_animate_starts_at_the_picture_and_moves(run, tmp_path, path):
    assert run(f"animate picture.png --path {path} --frames 9 --out OUT/x.mp4")[0] == 0
    video = open_video(tmp_path / "x.mp4")
    assert (len(video), video.image_size) == (9, SIZE)
    frames = video.read(range(9)).float() / 255
    assert (frames[0] - waves(COUNT)[0]).abs().mean() < 0.03
    assert (frames[-1] - waves(COUNT)[0]).abs().mean() < 0.03
    assert (frames[3] - frames[0]).abs().mean() > 0.005
    assert frames[3].mean() > 0.3  # no black borders


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"motion": Path("a.mp4")}, "a smaller --scale or fewer frames look better."),
        ({"path": "follow:a.mp4"}, "fewer frames of that video look better."),
        ({"path": "spiral"}, "It goes far from what was seen.\n"),
    ],
)
def test_a_path_that_goes_far_is_advised_by_what_would_help(given, says, capsys):
    _report_path(FollowReport(1.0, 0, 0.5, 0.2, False), Path("out.mp4"), **given)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stabilize walk.mp4 --out OUT/x.mp4 --weights still --refine 0", "stands still"),
        ("follow --motion walk.mp4 --scene walk.mp4 --out OUT/x.mp4 --weights still --refine 0", "stands still"),
        ("stabilize walk.mp4 --out OUT/x.mp4 --smooth 0", "above 0"),
        ("stabilize walk.mp4 --out OUT/x.mp4 --smooth 1 --lock", "not allowed with"),
        ("stabilize picture.png --out OUT/x.mp4", "single image"),
        ("stabilize one.mp4 --out OUT/x.mp4", "leaves one frame"),
        ("stabilize missing.mp4 --out OUT/x.mp4", "does not exist"),
        ("stabilize walk.mp4 --out OUT/x.mp4 --stride 0", "stride 0"),
        ("stabilize walk.mp4 --out OUT/x.mp4 --size 2", "give 16 or more"),
        ("interpolate walk.mp4 --out OUT/x.avi", "does not end in .mp4"),
        ("interpolate walk.mp4 --out there.mp4", "--overwrite"),
        ("interpolate walk.mp4 --out OUT/x.mp4 --factor 1", "factor 1"),
        ("interpolate walk.mp4 --out OUT/x.mp4 --frames 1", "too few"),
        ("interpolate walk.mp4 --out OUT/x.mp4 --device abacus", "abacus"),
        ("follow --motion picture.png --scene walk.mp4 --out OUT/x.mp4", "single image"),
        ("follow --motion walk.mp4 --scene text.png --out OUT/x.mp4 --refine 0 --weights moving", "as an image"),
        ("follow --motion walk.mp4 --scene picture.png --out OUT/x.mp4 --refine 0 --weights moving", "no structure of"),
        ("follow --motion walk.mp4 --scene walk.mp4 --out OUT/x.mp4 --scale 0", "scale 0.0"),
        ("animate walk.mp4 --path spiral --out OUT/x.mp4", "no image"),
        ("animate missing.png --path spiral --out OUT/x.mp4", "does not exist"),
        ("animate picture.png --path loop --out OUT/x.mp4", "no path 'loop'"),
        ("animate picture.png --path follow:missing.mp4 --out OUT/x.mp4", "does not exist"),
        ("animate picture.png --path spiral --out OUT/x.mp4 --stride 2", "no frames to choose from"),
        ("animate picture.png --path dolly --out OUT/x.mp4 --refine 8", "no cameras to refine"),
        ("interpolate walk.mp4 --out walk.mp4 --overwrite", "is what the result is made from"),
        ("stabilize walk.mp4 --out ./walk.mp4 --overwrite", "is what the result is made from"),
        ("follow --motion walk.mp4 --scene aac.mp4 --out aac.mp4 --overwrite", "is what the result is made from"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(run, root, tmp_path, line, says):
    before = sorted(root.rglob("*"))
    code, _, error = run(line)
    last = error.strip().splitlines()[-1]
    assert (code, says in last, last.startswith("video-ae: error:")) == (2, True, True), error
    assert list(tmp_path.iterdir()) == []
    assert sorted(root.rglob("*")) == before
    assert (root / "there.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("follow --motion walk.mp4 --scene nowhere.mp4 --out OUT/o.mp4", "nowhere.mp4' does not exist"),
        ("follow --motion walk.mp4 --scene text.png --out OUT/o.mp4", "cannot be read as an image"),
        ("animate nowhere.png --path follow:walk.mp4 --out OUT/o.mp4", "nowhere.png' does not exist"),
        ("interpolate walk.mp4 --out there.mp4/o.mp4", "cannot be written, since"),
    ],
)
def test_what_could_be_known_at_once_is_said_before_minutes_of_work(run, monkeypatch, tmp_path, line, says):
    monkeypatch.setattr(FakeSceneModel, "find_cameras", lambda *given: pytest.fail("the work has begun"))
    code, _, error = run(f"{line} --weights moving --refine 0")
    assert (code, says in error) == (2, True), error
    assert list(tmp_path.iterdir()) == []


def test_a_motion_without_parallax_cannot_be_followed(run, monkeypatch, tmp_path):
    def no_parallax(self, *args, **kwargs):
        scene = found(self, *args, **kwargs)
        object.__setattr__(scene.camera, "notes", ("no parallax: rotation is found",))
        return scene

    found = FakeSceneModel.encode_scene
    monkeypatch.setattr(FakeSceneModel, "encode_scene", no_parallax)
    code, _, error = run("follow --motion walk.mp4 --scene walk.mp4 --out OUT/x.mp4 --weights moving --refine 0")
    assert code == 2
    assert "no camera path to follow" in error
    assert list(tmp_path.iterdir()) == []
