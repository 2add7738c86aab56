"""The held-out protocol: every n-th frame of a clip is kept out of the structure and rendered at its own size.

Cameras are found from all frames, so that what is measured is the structure and its rendering alone. The coarse depth
that comes with them is found once more from the frames that are not held out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video_ae.datasets.base import ClipSource
from video_ae.errors import UserError
from video_ae.evaluation.metrics.images import IMAGE_METRICS, ImageMetrics, gradient_energy
from video_ae.evaluation.peers.flow_interpolation import middle_image, optical_flows
from video_ae.evaluation.protocols.base import FrameObserver, Prediction
from video_ae.evaluation.protocols.frozen_frames import find_frozen
from video_ae.evaluation.protocols.running import Attempt, Notify, Row, attempt, named_clips
from video_ae.evaluation.results import EvaluationResult, collect_result
from video_ae.formats.ply import GaussianCloud
from video_ae.geometry.resize import as_floats
from video_ae.geometry.umeyama import align
from video_ae.models.base import Options, VideoModel
from video_ae.scene.gaussian_refinement import DEFAULT_STEPS, render_gaussians
from video_ae.scene.image_based_rendering import ImageBasedRenderer
from video_ae.scene.reconstruction import Reconstruction
from video_ae.scene.rendering import render_views, to_bytes
from video_ae.scene.source import FramesInMemory, Source, read_source
from video_ae.types import CameraEstimate, Cameras, VideoClip

MAIN = "image-based rendering"


@dataclass(frozen=True)
class HeldOutClip:
    """A clip of which some frames were kept out of the structure.

    Args:
        clip: all frames, RGB in [0, 1].
        held_out: positions of the frames that are to be rendered; each has a neighbour on both sides.
        reconstruction: of the others.
        cameras: of the held-out frames, in its world.
    """

    clip: VideoClip
    held_out: list[int]
    reconstruction: Reconstruction
    cameras: Cameras

    @property
    def neighbours(self) -> tuple[Float[Tensor, "view 3 height width"], Float[Tensor, "view 3 height width"]]:
        """The frames before and after each held-out one."""
        positions = torch.tensor(self.held_out)
        return self.clip.frames[positions - 1], self.clip.frames[positions + 1]


HeldOutMethod = Callable[[HeldOutClip], Float[Tensor, "view 3 height width"]]
"""Images of the held-out frames of a clip, whose pixels must not reach them."""


def held_out_frames(frames: int, every: int) -> list[int]:
    """Every n-th frame from the middle of the first n on, the last frame never.

    Args:
        frames: of the clip.
        every: n, at least 2.

    >>> held_out_frames(12, 4), held_out_frames(3, 2)
    ([2, 6, 10], [1])
    """
    return list(range(every // 2, frames - 1, every))


def hold_out(clip: VideoClip, every: int, model: VideoModel, options: Options) -> HeldOutClip:
    """A clip's cameras from all of its frames, and its structure from those that are not held out.

    Args:
        clip: all frames, RGB in [0, 1].
        every: as in `held_out_frames`.
        model: on its device.
        options: how the cameras are found.

    Raises:
        UserError: the clip has too few frames, or the model finds cameras and structure in one.
    """
    held_out = held_out_frames(len(clip), every)
    kept = [position for position in range(len(clip)) if position not in held_out]
    if not held_out or len(kept) < 2:
        raise UserError(
            f"The clip has {len(clip)} frames, of which none or too few can be held out: give a longer one."
        )
    device = next(model.parameters()).device
    reader = FramesInMemory(to_bytes(clip.frames), clip.name, clip.times)
    small = read_source(reader, 1, None).to(device)
    found = replace(model.find_cameras(small, options), readout=0.0)  # frames are compared as the shutter shows them
    scene = model.encode_structures(small.select(kept), _with_own_depth(model, small.select(kept), found.select(kept)))
    source = Source(reader.name, reader.image_size, lambda: reader)
    return HeldOutClip(clip, held_out, Reconstruction(model, scene, source), found.cameras.select(held_out).to("cpu"))


def _with_own_depth(model: VideoModel, kept: VideoClip, found: CameraEstimate) -> CameraEstimate:
    """The cameras that were found, with depth from their own frames alone, in the scale of the cameras."""
    own = model.find_cameras(kept)
    scale = align(own.cameras.centers.double(), found.cameras.centers.double()).scale.to(own.inverse_depth)
    return replace(found, inverse_depth=own.inverse_depth / scale)


def _image_based(given: HeldOutClip) -> Tensor:
    size = given.clip.image_size
    renderer = ImageBasedRenderer(given.reconstruction, given.reconstruction.source_reader(size), size)
    return as_floats(torch.stack(list(renderer.images(given.cameras))))


def _codes_alone(given: HeldOutClip) -> Tensor:
    return render_views(given.reconstruction, given.cameras, given.clip.image_size).rgb.clamp(0, 1)


def _gaussians(given: HeldOutClip) -> Tensor:
    return _splatted(given, given.reconstruction.gaussians())


def _refined_gaussians(given: HeldOutClip, steps: int) -> Tensor:
    return _splatted(given, replace(given.reconstruction).refine_gaussians(steps))


def _splatted(given: HeldOutClip, cloud: GaussianCloud) -> Tensor:
    cameras = given.cameras.to(torch.float32)
    return render_gaussians(cloud, cameras, given.clip.image_size).rgb.clamp(0, 1)


def held_out_methods(refine_steps: int = DEFAULT_STEPS) -> dict[str, HeldOutMethod]:
    """Image-based rendering first, then what stands beside it; flow interpolation where OpenCV is installed.

    Args:
        refine_steps: of Gaussians, on the frames that are not held out.
    """
    methods: dict[str, HeldOutMethod] = {
        MAIN: _image_based,
        "structure codes": _codes_alone,
        "Gaussians": _gaussians,
        "Gaussians, refined": partial(_refined_gaussians, steps=refine_steps),
        "frame before": lambda given: given.neighbours[0],
        "blend of both neighbours": lambda given: torch.stack(given.neighbours).mean(0),
    }
    if flow := optical_flows().get("DIS flow"):
        methods["DIS flow between neighbours"] = lambda given: torch.stack(
            [middle_image(flow, before, after) for before, after in zip(*given.neighbours, strict=True)]
        )
    return methods


def run_held_out_protocol(
    dataset: ClipSource,
    model: VideoModel,
    methods: Mapping[str, HeldOutMethod],
    every: int = 4,
    options: Options = Options(),
    metrics: ImageMetrics = IMAGE_METRICS,
    observers: Sequence[FrameObserver] = (),
    progress: Notify = None,
) -> EvaluationResult:
    """Renders every n-th frame of each clip from a structure that has not seen it, at the frames' own size.

    Args:
        dataset: with or without true cameras, which are not read.
        model: on its device; finds the cameras and encodes the structure.
        methods: by name; the first is the one that is evaluated.
        every: n: one frame in so many is held out.
        options: how the cameras are found.
        metrics: that are computed, beside the gradient energy.
        observers: each is called with the method's and the clip's name, the frame's position, the clip and the image.
        progress: called with a clip's name before it runs.
    """
    metrics = replace(metrics, found={**metrics.found, "gradient_energy": gradient_energy})
    rows: dict[str, dict[str, Row]] = {label: {} for label in methods}
    for name, clip in named_clips(dataset, progress):
        clip = replace(clip, cameras=None)
        prepared = attempt(hold_out, clip, every, model, options)
        for label, method in methods.items():
            tried: Attempt = prepared if prepared.answer is None else attempt(method, prepared.answer)
            chosen = held_out_frames(len(clip), every)
            images = torch.full_like(clip.frames[chosen], 0.5) if tried.answer is None else tried.answer
            scores = [metrics.score(one, clip.frames[frame]) for one, frame in zip(images, chosen, strict=True)]
            row = {"frames": len(chosen)} | tried.failure | tried.cost | metrics.means(scores)
            rate = {"views_per_cpu_second": len(chosen) / max(tried.cost["cpu_seconds"], 1e-9)}
            rows[label][name] = row | rate | metrics.reasons(scores, "the clip is too short")
            for frame, image in zip(chosen, images, strict=True):
                for observe in observers:
                    observe(label, name, frame, clip, Prediction(image))
    settings: dict[str, Any] = {"every": every, "quarantined": dataset.skipped}
    return collect_result("held-out views", settings, rows, frozen=find_frozen(dataset.names))
