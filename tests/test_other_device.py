"""Everything computes where it is told to, and finds there what it finds on the CPU (see `other_device`)."""

import shutil
from pathlib import Path

import pytest
import torch
from other_device import OTHER, OtherTensor, on_cpu, other_device

from video_ae.cli import main
from video_ae.datasets.byte_clips import ByteClip, finish_batch
from video_ae.models.base import Options
from video_ae.models.open import build_model, load_video_model
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import to_bytes
from video_ae.scene.source import Source
from video_ae.training.config import parse_run
from video_ae.types import Cameras, VideoClip
from video_ae.videos.open import open_video

ROOT = Path(__file__).parents[1]
TEST = ROOT / "data" / "walkthroughs" / "test"
VIDEO = TEST / "videos" / "test_0000_map24.mp4"
CONFIGS = {path.stem for path in (ROOT / "configs").glob("*.yaml")} - {"perspective", "paper_realestate10k"}


def test_mixing_devices_fails_and_nothing_else_does() -> None:
    here = torch.rand(3, 4)
    with other_device():
        there = here.to(OTHER)
        for mixing in (
            lambda: there + here,
            lambda: torch.cat([there, here]),
            lambda: torch.stack([there[0, 0], here[0, 0]]),
            lambda: here[there[0].argsort()],
            lambda: torch.nn.functional.linear(there, here),
        ):
            with pytest.raises(RuntimeError, match="same device"):
                mixing()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        made = torch.ones(4, device=OTHER) * there[[0, 2]][:, torch.tensor([3, 2, 1, 0])] + torch.tensor(1.0)
        assert isinstance(made, OtherTensor)
        assert torch.equal(made.cpu(), here[[0, 2]].flip(1) + 1)
        changed = there.clone()
        changed[1:, 0] = 7
        changed[2] = here[0]
        assert changed[1, 0].item() == 7
        assert changed[2].tolist() == here[0].tolist()
        weight = there.clone().requires_grad_()
        (weight.square().sum() / 2).backward()
        assert torch.equal(on_cpu(weight.grad), here)


def test_a_device_that_cannot_compute_is_refused_in_one_sentence(tmp_path: Path, capsys) -> None:
    assert main(["reconstruct", str(VIDEO), "--out", str(tmp_path / "out"), "--device", OTHER.type]) == 2
    assert capsys.readouterr().err.strip().endswith("The device 'meta' is not available here: use auto, cpu or cuda.")
    assert not (tmp_path / "out").exists()


def one_step(config: str, device: torch.device) -> tuple[float, float, list[torch.Tensor]]:
    """(loss, length of the gradient, weights) after a training step on two augmented clips."""
    settings = parse_run(["--config", str(ROOT / "configs" / f"{config}.yaml"), "--out", "unused"])
    torch.manual_seed(0)
    model = build_model(settings.model).to(device)
    count = min(settings.data.length, 6)
    frames = open_video(VIDEO).read(list(range(count)))
    clips = [
        ByteClip(frames, torch.arange(count), torch.arange(count).double() / 10, "walk", number).to(device)
        for number in range(2)
    ]
    clip = finish_batch(clips, (64, 48), augment_seed=1)
    losses = {name: term.to(device) for name, term in settings.losses.items()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, foreach=False)
    torch.manual_seed(1)
    reconstruction = model(clip)
    total = sum(term.weight * term(reconstruction, clip) for term in losses.values())
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=False)
    optimizer.step()
    return total.item(), norm.item(), [on_cpu(parameter) for parameter in model.parameters()]


@pytest.mark.parametrize("config", [*sorted(CONFIGS), pytest.param("perspective", marks=pytest.mark.slow)])
def test_a_training_step(config: str) -> None:
    loss, norm, weights = one_step(config, torch.device("cpu"))
    with other_device():
        other_loss, other_norm, other_weights = one_step(config, OTHER)
    # Bytes are scaled by another kernel on other devices: a step of 1 / 255 here and there.
    assert other_loss == pytest.approx(loss, rel=5e-3)
    assert other_norm == pytest.approx(norm, rel=0.1)
    assert all((a - b).abs().max() < 3e-3 for a, b in zip(weights, other_weights, strict=True))


def scene_and_views(device: torch.device) -> list[torch.Tensor]:
    """Poses and depth of a short refined clip; a view from beside it, of keyframe codes and in the frames' colours."""
    frames = torch.nn.functional.interpolate(open_video(VIDEO).read(list(range(4))) / 255, (48, 64), mode="area")
    clip = VideoClip(frames.to(device), torch.arange(4), torch.arange(4).double() / 10, name="walk")
    model = load_video_model(None, device)
    scene = model.encode_scene(clip, Options(refine_steps=1))
    found = scene.cameras.select([1]).to("cpu")
    beside = Cameras(found.world_from_camera.clone(), found.intrinsics)
    beside.world_from_camera[0, 0, 3] += 0.01
    rendered = model.render(scene, beside.to(device), (64, 48))
    walk = Reconstruction(model, scene, Source("walk", (64, 48), lambda: pytest.fail("opened")))
    sharp = next(ImageBasedRenderer(walk, to_bytes(frames).__getitem__, (64, 48)).images(beside))
    return [
        on_cpu(x) for x in (scene.cameras.world_from_camera, scene.camera.inverse_depth, rendered.rgb, sharp.float())
    ]


def test_a_scene_and_its_views() -> None:
    expected = scene_and_views(torch.device("cpu"))
    with other_device():
        found = scene_and_views(OTHER)
    for one, other in zip(expected[:-1], found[:-1], strict=True):
        torch.testing.assert_close(other, one, atol=3e-4, rtol=3e-4)
    # Bytes: compiled loops, which only the CPU has, round differently.
    torch.testing.assert_close(found[-1], expected[-1], atol=1, rtol=0)
    assert (found[-1] != expected[-1]).float().mean() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "reconstruct VIDEO --frames 4 --refine 1",
        "stabilize VIDEO --frames 5 --refine 0 --size 96",
        "interpolate VIDEO --frames 4 --refine 0 --size 96",
        "follow --motion VIDEO --scene VIDEO --frames 4 --refine 0 --size 96",
        "animate PICTURE --path spiral --frames 4 --size 96",
        "evaluate poses --data ONE --refine 1",
        "evaluate reconstruction --data ONE --refine 0",
        "evaluate views --data ONE --refine 1 --gaps 2 --no-perceptual",
    ],
    ids=lambda command: "_".join(command.split()[:2]).split("_VIDEO")[0],
)
def test_commands(tmp_path: Path, command: str) -> None:
    one = tmp_path / "one"
    for part in ("videos", "cameras", "depth"):
        (one / part).mkdir(parents=True)
        for file in (TEST / part).glob(f"{VIDEO.stem}.*"):
            shutil.copy(file, one / part)
    places = {"VIDEO": str(VIDEO), "ONE": str(one), "PICTURE": str(ROOT / "docs" / "images" / "overview.png")}
    out = tmp_path / ("results" if command.startswith(("evaluate", "reconstruct")) else "made.mp4")
    words = [places.get(word, word) for word in command.split()]
    with other_device():
        assert main([*words, "--out", str(out), "--device", OTHER.type]) == 0
    assert out.exists()
    if command.startswith("reconstruct"):
        with other_device():
            path = ["--path", "spiral", "--frames", "4", "--out", str(tmp_path / "path.mp4")]
            assert main(["render", str(out), *path, "--device", OTHER.type]) == 0
