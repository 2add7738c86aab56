"""What the checks share: sizes, the model of configs/perspective.yaml, batches, training steps, a scene."""

import time
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from gpu_checks.costs import device_peaks
from video_ae.camera.cache import CameraCache
from video_ae.models.open import build_model, load_video_model
from video_ae.models.perspective import PerspectiveAutoencoder
from video_ae.training.config import parse_run
from video_ae.training.data import ClipData, Positions
from video_ae.training.module import TrainingModule
from video_ae.training.settings import DataSettings, RunSettings
from video_ae.types import Cameras, Scene, VideoClip
from video_ae.videos.open import open_video

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "perspective.yaml"
WALKS = ROOT / "data" / "walkthroughs"
VIDEO = WALKS / "test" / "videos" / "test_0000_map24.mp4"
SEED = 1


class Skipped(Exception):
    """A check lacks what it needs; the message says what."""


@dataclass(frozen=True)
class Sizes:
    """How large the work is.

    Args:
        side: of the square frames, in pixels.
        batch: clips in a training step.
        length: frames in a clip.
        root: the folder of walk-throughs that clips come from.
        scene: frames of the scene whose views are rendered.
        views: that are rendered one after the other.
        repeats: training steps that are timed.
        matrix: side of the matrices of the largest speed.
        copied: megabytes of the copy of the largest bandwidth.
    """

    side: int = 256
    batch: int = 4
    length: int = 6
    root: str = "train"
    scene: int = 12
    views: int = 24
    repeats: int = 8
    matrix: int = 8192
    copied: int = 2048


QUICK = Sizes(64, 2, 3, "validation", 4, 4, 2, 512, 16)


class Bench:
    """A device and the work that is measured on it.

    Args:
        device: on which everything computes.
        folder: of the results.
        quick: small sizes.
        seconds: that everything together may take, from now on.
    """

    def __init__(self, device: torch.device, folder: Path, quick: bool = False, seconds: float = 360.0) -> None:
        self.device, self.folder, self.quick, self.seconds = device, folder, quick, seconds
        self.sizes = QUICK if quick else Sizes()
        if not quick and device.type != "cuda":  # a processor is a thousand times slower at these
            self.sizes = Sizes(matrix=1024, copied=64, repeats=2)
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end."""
        return self._end - time.monotonic()

    @cached_property
    def settings(self) -> RunSettings:
        """Those of configs/perspective.yaml."""
        torch.manual_seed(0)
        return parse_run(["--config", str(CONFIG), "--out", "unused"])

    @cached_property
    def peaks(self) -> dict[str, float]:
        """As of `device_peaks`."""
        return device_peaks(self.device, self.sizes.matrix, self.sizes.copied)

    @property
    def precision(self) -> str:
        """Of convolutions in fp32, which cuDNN computes in TF32 as it is set here."""
        return "tf32" if self.device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "fp32"

    @cached_property
    def _data(self) -> ClipData:
        sizes = self.sizes
        return ClipData(DataSettings(str(WALKS / sizes.root), size=(sizes.side, sizes.side), length=sizes.length))

    def batches(self, device: torch.device) -> Iterator[VideoClip]:
        """Augmented training clips, without end, as a run on the device loads them.

        Args:
            device: where the clips are needed.
        """
        data = self._data
        data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device))  # type: ignore[assignment]
        positions = Positions(0, self.sizes.batch)
        return iter(data._batches(data.training, SEED, batch_sampler=positions))

    @cached_property
    def clip(self) -> VideoClip:
        """A batch on the device."""
        return next(self.batches(self.device))

    @cached_property
    def training(self) -> "Training":
        """The model in training."""
        return Training(self.settings, self.device)

    @cached_property
    def scene(self) -> tuple[Any, Scene, Cameras]:
        """The model of the shipped weights, a scene on the device, and cameras between those of its frames."""
        frames = open_video(VIDEO).read(list(range(self.sizes.scene))) / 255
        count = len(frames)
        clip = VideoClip(frames.to(self.device), torch.arange(count), torch.arange(count).double() / 10, name="walk")
        model = load_video_model(None, self.device)
        scene = model.encode_scene(clip)
        own = scene.cameras.to("cpu")
        order = [number % count for number in range(self.sizes.views)]
        poses = own.world_from_camera[order].clone()
        poses[:, 0, 3] += 0.01  # beside the frames' own cameras
        return model, scene, Cameras(poses, own.intrinsics[order]).to(self.device)


class Training:
    """Training steps of a fresh model, as `TrainingModule` does them.

    Args:
        settings: of the run.
        device: on which it computes.
    """

    def __init__(self, settings: RunSettings, device: torch.device) -> None:
        torch.manual_seed(0)
        model = build_model(settings.model).to(device).train()
        assert isinstance(model, PerspectiveAutoencoder)
        self.model = model
        self._module = TrainingModule(self.model, settings.losses, settings.optimizer).to(device)
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self._optimizer, self._device = torch.optim.AdamW(parameters, lr=1e-5), device

    def step(self, clip: VideoClip, seed: int, bf16: bool = False, solve: bool = False) -> Tensor:
        """A whole step; returns its loss.

        Args:
            clip: a batch.
            seed: of the frames that are held out.
            bf16: computes as `trainer.precision: bf16-mixed` does.
            solve: finds the cameras of the clips anew.
        """
        if solve:
            self.model._cached_cameras = CameraCache(self.model.training_camera)
        self._optimizer.zero_grad()
        torch.manual_seed(seed)
        with torch.autocast(self._device.type, torch.bfloat16) if bf16 else nullcontext():
            _, total, _ = self._module._measured(clip, "train")
        total.backward()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are trying to `self.log")  # there is no trainer
            self._module.on_before_optimizer_step(self._optimizer)
        self._optimizer.step()
        return total.detach()
