"""Signs of collapse while a model trains: it may reconstruct better and better and yet find no camera or no depth."""

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from video_ae.evaluation.metrics import collapse
from video_ae.evaluation.metrics.collapse import Finding
from video_ae.models.base import Autoencoder
from video_ae.types import ModelOutput, VideoClip


class CollapseSigns(Callback):
    """Logs every sign's value in the first batch of each validation as `signs/...`; says it once where one begins."""

    def __init__(self) -> None:
        self._console, self._said = Console(stderr=True), set[str]()

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: VideoClip, batch_idx: int, *_: Any
    ) -> None:
        if batch_idx:
            return
        model = module.model
        assert isinstance(model, Autoencoder)
        found = signs_of_collapse(model, batch, outputs["output"])
        values = {f"signs/{name}": finding.value for name, finding in found.items()}
        module.log_dict(values, sync_dist=True, batch_size=1)
        triggered = {name for name, finding in found.items() if finding.triggered}
        for name in sorted(triggered - self._said):
            finding = found[name]
            if trainer.is_global_zero:
                self._console.print(
                    f"  sign of collapse at step {trainer.global_step}: {finding.name} ({finding.value:.3g}, limit "
                    f"{finding.limit:.3g}): {finding.meaning}", highlight=False,
                )  # fmt: skip
        self._said = triggered


@torch.no_grad()
def signs_of_collapse(model: Autoencoder, clip: VideoClip, output: ModelOutput) -> dict[str, Finding]:
    """The signs of collapse in a model's output, by a short name, found without any ground truth.

    The clip with the worst value stands for the batch.

    Args:
        model: what made the output.
        clip: a batch of clips.
        output: of that batch.
    """
    found: dict[str, list[Finding | None]] = {"copies_context": [_copying(clip, output)]}
    if output.disparity is not None:
        found["flat_structure"] = [collapse.flat_structure(maps) for maps in output.disparity.float().cpu()]
    if output.camera is not None:
        cameras = output.camera.cameras.to("cpu", torch.float32)
        moves = zip(cameras.world_from_camera, clip.frames.cpu(), strict=True)
        found["poses_alike"] = [collapse.camera_stands_still(poses, frames) for poses, frames in moves]
        found["runaway_focal"] = [collapse.runaway_focal(one, clip.image_size) for one in cameras.intrinsics]
        found["poses_encode_time"] = [_encodes_time(model, clip)]
    listed = {name: [finding for finding in findings if finding is not None] for name, findings in found.items()}
    return {name: max(findings, key=_badness) for name, findings in listed.items() if findings}


def _badness(finding: Finding) -> tuple[bool, float]:
    """Triggered ones first, then those furthest from their limit on either side."""
    distance = abs(math.log(max(finding.value, 1e-12) / finding.limit)) if math.isfinite(finding.value) else math.inf
    return finding.triggered, distance if finding.triggered else -distance


def _encodes_time(model: Autoencoder, clip: VideoClip) -> Finding | None:
    """The first clip of the batch, played there and back."""
    camera = model(collapse.there_and_back(clip[0])[None]).camera
    return None if camera is None else collapse.poses_encode_time(camera.cameras.world_from_camera[0].cpu())


def _copying(clip: VideoClip, output: ModelOutput) -> Finding | None:
    """Whether held-out frames are rendered as the nearest frame that was given; None in a model that is given all."""
    targets = output.targets.tolist()
    given = [frame for frame in range(len(clip)) if frame not in targets]
    if not given:
        return None
    small = collapse.shrink(clip.frames.detach().float().cpu())
    predictions = collapse.shrink(output.frames.clamp(0, 1).detach().float().cpu()).flatten(0, 1)
    contexts = small[:, None, given].expand(-1, len(targets), -1, -1, -1, -1).flatten(0, 1)
    return collapse.copies_context(predictions, contexts, small[:, targets].flatten(0, 1))
