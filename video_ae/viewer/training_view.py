"""`video-ae train --view`: the cameras and the structure of a fixed clip, while they are being learnt."""

import queue
import sys
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.pinhole import camera_rays, transform
from video_ae.renderers.compositing import absorption_weights
from video_ae.scene.rendering import to_bytes
from video_ae.types import Cameras, ModelOutput, MultiplaneVolume, VideoClip
from video_ae.viewer.drawing import POINT_SIZE, draw_cameras, draw_points
from video_ae.viewer.frusta import frustum_scale, start_view
from video_ae.viewer.layout import LOOPBACK, Page, close_page, open_page, welcome

DEFAULT_PORT = 8080
PORTS = 20  # are tried, so that two trainings can be watched at once
_LEAST_OPACITY = 0.5


@dataclass(frozen=True)
class Snapshot:
    """A clip at one step of a training, on the CPU. Models without cameras or structure have none."""

    step: int
    frames: UInt8[Tensor, "frame 3 height width"]
    target: UInt8[Tensor, "3 height width"]
    rendering: UInt8[Tensor, "3 height width"]
    cameras: Cameras | None
    structure: MultiplaneVolume | None


def snapshot(step: int, clip: VideoClip, reconstruction: ModelOutput) -> Snapshot:
    """The first clip of a batch, copied: training goes on and nothing of it is held or changed."""
    which = len(reconstruction.targets) // 2
    found, code = reconstruction.camera, reconstruction.structure
    cameras = None if found is None else Cameras(_copy(found.cameras.world_from_camera[0]), _first(found.cameras))
    structure = None
    if code is not None:
        reference = Cameras(_copy(code.reference.world_from_camera[:1]), _copy(code.reference.intrinsics[:1]))
        structure = MultiplaneVolume(
            _copy(code.density[:1]), _copy(code.features[:1]), _copy(code.inverse_depth[:1]), reference
        )
    return Snapshot(
        step,
        to_bytes(_copy(clip.frames[0])),
        to_bytes(_copy(clip.frames[0, int(reconstruction.targets[which])])[None])[0],
        to_bytes(_copy(reconstruction.frames[0, which])[None])[0],
        cameras,
        structure,
    )


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32, copy=True)


def _first(cameras: Cameras) -> Tensor:
    return _copy(cameras.intrinsics[0])


def structure_points(
    structure: MultiplaneVolume,
) -> tuple[Float[Tensor, "point 3"], UInt8[Tensor, "point 3"]]:
    """Where the rays of a code's own camera end (the mean of 1 / z), and the colour there, for rays that end."""
    opacity = 1 - torch.exp(-structure.density[0].permute(1, 2, 0))
    weights = absorption_weights(opacity)
    total = weights.sum(-1)
    inverse_depth = (weights * structure.inverse_depth[0]).sum(-1) / total.clamp_min(1e-6)
    colours = torch.einsum("hwp,cphw->hwc", weights, structure.features[0, :3]) / total.clamp_min(1e-6)[..., None]
    kept = (total > _LEAST_OPACITY) & (inverse_depth > 1e-6)
    rays = camera_rays(structure.reference.intrinsics[0, 0], *total.shape)
    points = transform(structure.reference.world_from_camera[0, 0], rays[kept] / inverse_depth[kept][:, None])
    return points, to_bytes(colours[kept].T[None, :, None])[0, :, 0].T.contiguous()


class TrainingView(Callback):
    """Serves a page during a run. What it shows is copied at each validation and drawn by another thread, so that the
    run computes exactly what it would compute unseen. Raises UserError where no port is free."""

    def __init__(self, host: str = LOOPBACK, port: int = DEFAULT_PORT) -> None:
        self._page = _open(host, port)
        self.port = self._page.get_port()
        print(welcome(host, self.port, "The training is shown"), file=sys.stderr, flush=True)
        self._latest: queue.Queue[Snapshot | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._draw_all, name="view", daemon=True)
        self._thread.start()
        self.drawn = 0  # snapshots

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if batch_idx == 0 and trainer.is_global_zero:
            self._offer(snapshot(trainer.global_step, batch, outputs["reconstruction"]))

    def close(self) -> None:
        """Ends the page, after what was last offered has been drawn."""
        self._latest.put(None)
        self._thread.join(timeout=5)
        close_page(self._page)

    def _offer(self, latest: Snapshot) -> None:
        try:
            self._latest.put_nowait(latest)
        except queue.Full:
            print("video-ae: the page is slow, and this validation is not shown.", file=sys.stderr)

    def _draw_all(self) -> None:
        while (latest := self._latest.get()) is not None:
            try:
                draw(self._page, latest)
            except Exception as error:  # a page that fails must not end a training
                print(f"video-ae: this step could not be shown ({type(error).__name__}: {error})", file=sys.stderr)
            self.drawn += 1


def draw(page: Page, latest: Snapshot) -> None:
    """Replaces what the page shows."""
    with page.atomic():
        page.gui.reset()
        page.gui.configure_theme(show_logo=False, show_share_button=False)
        page.gui.add_markdown(f"**Step {latest.step}**: the first validation clip")
        both = torch.cat([latest.target, latest.rendering], -1).permute(1, 2, 0).numpy()
        page.gui.add_image(np.ascontiguousarray(both), label="frame, and what the model makes of it")
        page.scene.set_up_direction("-y")
        if latest.cameras is None:
            page.gui.add_markdown("This model has no cameras that could be drawn.")
            return
        depth = 1.0  # cameras are scaled so that the mean inverse depth is 1
        position, ahead = start_view(latest.cameras, depth)
        start = page.initial_camera
        start.position, start.look_at, start.up = position, ahead, (0.0, -1.0, 0.0)  # type: ignore[assignment]
        scale = frustum_scale(latest.cameras, depth)
        draw_cameras(page.scene, latest.cameras, latest.frames, range(len(latest.frames)), scale)
        if latest.structure is not None:
            draw_points(page.scene, *structure_points(latest.structure), 2 * POINT_SIZE * depth)


def _open(host: str, port: int) -> Page:
    """The first free port from `port` on."""
    for attempt in range(port, port + PORTS if port else 1):
        try:
            return open_page(host, attempt, "video-ae train")
        except UserError as error:
            if "in use" not in str(error):
                raise
    raise UserError(f"The ports {port} to {port + PORTS - 1} are in use: stop another viewer.")
