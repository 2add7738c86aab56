"""What moves by itself, told before anything is solved: trajectories of still points lie in a small subspace.

From one frame to the next, a still scene flows by B(x) w + z A(x) v (Longuet-Higgins & Prazdny 1980): B is quadratic in
the position x, and the inverse depth z is the point's own. So a point's flows to several frames, below each other, are
combinations of six known functions of x and, where the camera goes ahead by little, of z alone, each with a vector that
all points share. The vectors are found by consensus, as in "Background Subtraction for Freely Moving Cameras" (Sheikh,
Javed & Kanade 2009). Points stand for area, whatever their texture, and no camera needs to be known.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from video_ae.camera.frame_graph import FrameGraph
from video_ae.camera.moving_objects import KEPT, LARGEST, UnguidedFlow
from video_ae.threads import one_thread

_GAPS = (1, 2, 4)  # frames over which a camera moves by little
_FUNCTIONS = 7  # of a point: six of its position, and its inverse depth
_SAMPLES, _FITS = 400, 3  # hypotheses of seven points (where a third moves, 6 % are of still ones), fits to what agrees
_WEIGHT = 20.0  # of the known functions, in pixels: above all flows, so that what is fitted reproduces them
_TRUSTED = 0.6  # part of a point's matches that are reliable where it is sampled


@one_thread()
def trajectory_errors(flow: UnguidedFlow) -> Float[Tensor, "frame rows columns"]:
    """How far flows lie from what those of most of a frame agree on, as `UnguidedFlow.errors`.

    Args:
        flow: of all frames of a clip.
    """
    graph, generator = flow.graph, torch.Generator().manual_seed(0)
    shift, found, reliable = _trajectories(flow)
    known = _WEIGHT * _known_functions(graph)
    errors = torch.stack(
        [
            _consensus_errors(torch.cat([known, own[:, seen].flatten(1)], 1), trust[:, seen].mean(1), generator)
            / int(seen.sum()) ** 0.5
            for own, seen, trust in zip(shift, found, reliable, strict=True)
        ]
    )
    errors = (errors / min(graph.width, graph.height)).clamp_max(LARGEST)
    maps = errors.view(-1, 1, graph.grid.rows, graph.grid.columns)
    return F.avg_pool2d(maps, 3, 1, 1, count_include_pad=False)[:, 0]


def _trajectories(
    flow: UnguidedFlow,
) -> tuple[Float[Tensor, "frame point target 2"], Bool[Tensor, "frame target"], Float[Tensor, "frame point target"]]:
    """Flows of each point, in pixels, to the frames `_GAPS` after and before; which there are; which are reliable."""
    graph, offsets = flow.graph, [sign * gap for gap in _GAPS for sign in (1, -1)]
    size = graph.count, len(graph.points), len(offsets)
    shift, reliable = torch.zeros(*size, 2, device=graph.device), torch.zeros(size, device=graph.device)
    found = torch.zeros(graph.count, len(offsets), dtype=torch.bool, device=graph.device)
    for frames, matches in flow.stretches:
        for number, offset in enumerate(offsets):
            edges = matches.target - matches.source == offset
            sources = torch.tensor(frames, device=graph.device)[matches.source[edges]]
            shift[sources, :, number] = matches.matched[edges] - matches.points
            reliable[sources, :, number] = matches.reliable[edges].to(shift.dtype)
            found[sources, number] = True
    return shift, found, reliable


def _known_functions(graph: FrameGraph) -> Float[Tensor, "point 6"]:
    """The monomials of a point's position up to degree two, between -1 and 1."""
    x, y = (graph.points / (max(graph.width, graph.height) / 2)).unbind(-1)
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], -1)


def _consensus_errors(
    values: Float[Tensor, "point value"], trust: Float[Tensor, "point"], generator: torch.Generator
) -> Float[Tensor, "point"]:
    """Distances of points from the subspace that `KEPT` of them lie nearest to (least quantile, then fits to these)."""
    count = int(KEPT * len(values))
    trusted = (trust > _TRUSTED).nonzero()[:, 0]
    if len(trusted) < 2 * _FUNCTIONS:
        trusted = torch.arange(len(values), device=values.device)
    chosen = trusted[torch.randint(len(trusted), (_SAMPLES, _FUNCTIONS), generator=generator).to(trusted.device)]
    basis = torch.linalg.qr(values[chosen].mT)[0]
    errors = _distances(values, basis)
    limits = errors.kthvalue(count, 1).values
    best = limits.argmin()
    errors, limit = errors[best], limits[best]
    for _ in range(_FITS):
        basis = torch.linalg.svd(values[errors <= limit], full_matrices=False)[2][:_FUNCTIONS].mT
        errors = _distances(values, basis)
        limit = errors.kthvalue(count).values
    return errors


def _distances(
    values: Float[Tensor, "point value"], basis: Float[Tensor, "*hypothesis value dimension"]
) -> Float[Tensor, "*hypothesis point"]:
    """From subspaces with orthonormal bases."""
    inside = (values @ basis).square().sum(-1)
    return (values.square().sum(-1) - inside).clamp_min(0).sqrt()
