"""`video-ae train --view`: the cameras and the structure of a fixed clip, while they are being learnt."""

import os
import queue
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.pinhole import camera_rays, transform
from video_ae.geometry.trajectories import frustum_scale
from video_ae.renderers.compositing import march
from video_ae.scene.rendering import to_bytes
from video_ae.tensor_records import TensorRecord
from video_ae.training.settings import RunSettings
from video_ae.training.train import train
from video_ae.types import Cameras, ModelOutput, MultiplaneVolume, VideoClip
from video_ae.viewer.access import choose_token
from video_ae.viewer.drawing import POINT_SIZE, draw_cameras, draw_points
from video_ae.viewer.page import DEFAULT_PORT, LOOPBACK, Page, PortInUse, close_page, open_page, set_start, welcome
from video_ae.viewer.views import as_array

PORTS = 20  # are tried, so that two trainings can be watched at once
_LEAST_OPACITY = 0.5
_DEPTH = 1.0  # typical: models scale their cameras so that the mean inverse depth is 1


def train_in_view(settings: RunSettings) -> Path:
    """Trains as `train` does, while the first of its processes serves a page that shows the run.

    Args:
        settings: of the run and of the page.

    Returns:
        The run's folder.

    Raises:
        UserError: as `train` and `TrainingView` do.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return train(settings)
    with closing(TrainingView(settings.host, token=settings.token)) as view:
        return train(settings, [view])


@dataclass(frozen=True)
class Snapshot(TensorRecord):
    """A clip at one step of a training, on the CPU.

    Args:
        step: of the training.
        frames: all frames of the clip, RGB in 0 .. 255.
        target: one of them that the model rendered.
        rendering: that frame as the model renders it.
        cameras: of all frames; None for models that have none.
        structure: the structure code; None for models that have none.
    """

    step: int
    frames: UInt8[Tensor, "frame 3 height width"]
    target: UInt8[Tensor, "3 height width"]
    rendering: UInt8[Tensor, "3 height width"]
    cameras: Cameras | None
    structure: MultiplaneVolume | None


@torch.no_grad()
def snapshot(step: int, batch: VideoClip, output: ModelOutput) -> Snapshot:
    """The first clip of a batch, copied: the training changes nothing of it and can free its own tensors.

    Args:
        step: of the training.
        batch: of clips.
        output: what the model makes of the batch.
    """
    rendered = len(output.targets) // 2
    frames, rendering = to_bytes(batch.frames[0].float()), to_bytes(output.frames[:1, rendered].float())[0]
    cameras = None if output.camera is None else output.camera.cameras[0]
    structure = None if output.structure is None else output.structure[0]
    shown = Snapshot(step, frames, frames[int(output.targets[rendered])], rendering, cameras, structure)
    return shown.to("cpu", torch.float32, copy=True)


def structure_points(structure: MultiplaneVolume) -> tuple[Float[Tensor, "point 3"], UInt8[Tensor, "point 3"]]:
    """Where the rays of a code's own camera end (the mean of 1 / z), and the colour there, for rays that end.

    Args:
        structure: of one clip.

    Returns:
        (points in the world, RGB in 0 .. 255).
    """
    opacity = 1 - torch.exp(-structure.density.permute(1, 2, 0))
    planes = structure.inverse_depth.expand(opacity.shape)[..., None]
    samples = torch.cat([planes, structure.features[:3].permute(2, 3, 1, 0)], -1)
    sums, total = march(opacity, samples)
    means = sums / total.clamp_min(1e-6)[..., None]
    inverse_depth, colours = means[..., 0], means[..., 1:]
    kept = (total > _LEAST_OPACITY) & (inverse_depth > 1e-6)
    rays = camera_rays(structure.reference.intrinsics[0], *total.shape)
    points = transform(structure.reference.world_from_camera[0], rays[kept] / inverse_depth[kept][:, None])
    return points, to_bytes(colours[kept].T[None, :, None])[0, :, 0].T.contiguous()


class TrainingView(Callback):
    """Serves a page during a run.

    What it shows is copied at each validation and drawn by another thread, so that the run computes exactly what it
    would compute without a page.

    Args:
        host: address to serve on.
        port: number of the port; where it is in use, one of the next ports. 0 takes a free one.
        token: in the address, without which nobody sees the page: as of `video_ae.viewer.serve.Viewer`.

    Raises:
        UserError: no port is free, or the token is not possible.
    """

    def __init__(self, host: str = LOOPBACK, port: int = DEFAULT_PORT, token: str = "auto") -> None:
        self.token = choose_token(token, host)
        self._page = _open(host, port, self.token)
        self.port = self._page.get_port()
        print(welcome(host, self.port, "The training is shown", self.token), file=sys.stderr, flush=True)
        self._latest: queue.Queue[Snapshot | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._draw_all, name="view", daemon=True)
        self._thread.start()
        self.drawn = 0  # snapshots

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx == 0 and trainer.is_global_zero:
            latest = snapshot(trainer.global_step, batch, outputs["output"])
            try:
                self._latest.put_nowait(latest)
            except queue.Full:
                print("video-ae: the page is slow, and this validation is not shown.", file=sys.stderr)

    def close(self) -> None:
        """Ends the page, after the latest snapshot has been drawn."""
        self._latest.put(None)
        self._thread.join(timeout=5)
        close_page(self._page)

    def _draw_all(self) -> None:
        while (latest := self._latest.get()) is not None:
            try:
                draw_snapshot(self._page, latest)
            except Exception as error:  # a page that fails must not end a training
                print(f"video-ae: this step could not be shown ({type(error).__name__}: {error})", file=sys.stderr)
            self.drawn += 1


def draw_snapshot(page: Page, latest: Snapshot) -> None:
    """Replaces what the page shows.

    Args:
        page: of `open_page`.
        latest: what is shown from now on.
    """
    with page.atomic():
        page.gui.reset()
        page.gui.add_markdown(f"**Step {latest.step}**: the first validation clip")
        both = as_array(torch.cat([latest.target, latest.rendering], -1))
        page.gui.add_image(both, label="frame, and what the model makes of it")
        if latest.cameras is None:
            page.gui.add_markdown("This model has no cameras that could be drawn.")
            return
        set_start(page, latest.cameras, _DEPTH)
        scale = frustum_scale(latest.cameras, _DEPTH)
        draw_cameras(page.scene, latest.cameras, latest.frames, range(len(latest.frames)), scale)
        if latest.structure is not None:
            draw_points(page.scene, *structure_points(latest.structure), 2 * POINT_SIZE * _DEPTH)


def _open(host: str, port: int, token: str) -> Page:
    """The first free port from `port` on."""
    for attempt in range(port, port + PORTS if port else 1):
        with suppress(PortInUse):
            return open_page(host, attempt, "video-ae train", token)
    raise UserError(f"The ports {port} to {port + PORTS - 1} are in use: stop another viewer.")
