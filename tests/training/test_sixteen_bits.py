"""Mixed precision: networks compute in 16 bits, geometry does not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import torch

from video_ae.geometry.frustum import intersect_frustum, inverse_depth_planes, project_frustum
from video_ae.geometry.precision import full_precision
from video_ae.geometry.se3 import se3_exp
from video_ae.models.open import build_model
from video_ae.training.config import parse_run
from video_ae.types import Cameras, ModelOutput, VideoClip
from video_ae.videos.open import open_video

ROOT = Path(__file__).parents[2]
VIDEO = ROOT / "data" / "walkthroughs" / "validation" / "videos" / "validation_0000_e2m7.mp4"


def sixteen_bits() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize("look_up", [project_frustum, intersect_frustum])
def test_image_coordinates_do_not_lose_bits(look_up) -> None:
    intrinsics = torch.tensor([[[0.8, 1.1, 0.47, 0.53]]])
    here, there = (Cameras(se3_exp(0.1 * torch.randn(1, 1, 6)), intrinsics) for _ in range(2))
    planes = inverse_depth_planes(torch.tensor([1.2]), 5)
    expected, _ = look_up(here, planes, there, 24, 32)
    with sixteen_bits():
        found, _ = look_up(here, planes, there, 24, 32)
    assert torch.equal(found, expected)


def test_threads_do_not_change_each_other_s_precision() -> None:
    """A training thread with autocast is inside when a viewer's thread without autocast enters and leaves."""
    inside, left = Event(), Event()

    @full_precision
    def visit(wait: bool) -> None:
        inside.set()
        if wait:
            assert left.wait(10)

    def train() -> bool:
        with sixteen_bits():
            visit(True)
            return torch.is_autocast_enabled("cpu")

    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        assert inside.wait(10)
        visit(False)
        left.set()
        assert training.result(10)
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("config", ["quickstart", "paper_small"])
def test_a_step_learns_the_same(config: str) -> None:
    settings = parse_run(["--config", str(ROOT / "configs" / f"{config}.yaml"), "--out", "unused"])
    frames = torch.nn.functional.interpolate(open_video(VIDEO).read(list(range(6))) / 255, (48, 64), mode="area")[None]
    clip = VideoClip(frames, torch.arange(6)[None], torch.arange(6).double()[None] / 10)

    def step() -> tuple[float, torch.Tensor, ModelOutput]:
        torch.manual_seed(0)
        model = build_model(settings.model)
        reconstruction = model(clip)
        loss = sum(term.weight * term(reconstruction, clip) for term in settings.losses.values())
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        return loss.item(), gradient, reconstruction

    loss, gradient, reconstruction = step()
    with sixteen_bits():
        coarse_loss, coarse_gradient, coarse = step()
    assert coarse_loss == pytest.approx(loss, rel=0.02)
    if config == "quickstart":  # torch leaves gradients of strided convolutions to one pixel unset in 16 bits on CPUs
        assert torch.cosine_similarity(coarse_gradient, gradient, 0) > 0.9
        cameras, coarse_cameras = (one.camera.cameras.world_from_camera for one in (reconstruction, coarse))
        assert torch.equal(coarse_cameras, cameras), "cameras are solved in full precision"
