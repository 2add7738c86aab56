"""What is known of the frames that views are made of, in the size of their depth maps: colours, depth, trust, exposure.

Each is made when it is first asked for, and kept while views nearby ask for it again.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video_ae.geometry.box_mean import box_mean
from video_ae.geometry.covisibility import viewpoint_distance
from video_ae.geometry.resize import as_floats, even_size, resize_images, resize_maps
from video_ae.scene.annotations import SolvedVideo
from video_ae.scene.color_correction import ColorError, color_error, look_up, mean_square
from video_ae.scene.depth_agreement import depth_agreement
from video_ae.scene.depth_refinement import refine_depth
from video_ae.scene.rendering import render_views
from video_ae.scene.source import FrameReader
from video_ae.types import Cameras, Scene

SOURCES, SHARPNESS = 4, 3  # source views where nobody chooses them, and the power of nearness by which they count
AGREEMENT = 0.1  # of the disparity: spread of what counts as the same point
TEAR = 0.25  # pixels by which neighbours are looked up too far apart: spread of what counts as whole
CODES_SIDE = 96  # shorter side, in pixels, of the depth that is rendered from the codes: they know no more
ROUNDS = 2  # of refining depth by what neighbours show
_HIDDEN = 0.3  # of the disparity: spread beyond which something else is seen in a point's place
_IN_FULL = 0.25  # agreement in that sense from which on nothing is taken off
_SAME = 0.05  # as AGREEMENT, between depth maps of frames
_ANY = 1e6  # instead of any spread: tells whether a point lies inside the other frame at all
_PRIOR = 0.5  # frames that see a point and half agree, beside those that there are
_KEPT = 48  # frames and depth maps in memory, since neighbouring views share them


@dataclass(frozen=True)
class SourceFrames:
    """Frames of a clip, by their positions in it.

    Args:
        reconstruction: of a video.
        frame: reads a frame of the clip, of any size.
        size: (width, height) of depth maps.
        given: 1 / z seen by each frame (NaN where it is not known), where it has been rendered already.
    """

    reconstruction: SolvedVideo
    frame: FrameReader
    size: tuple[int, int]
    given: Float[Tensor, "frame rows columns"] | None = None

    def read_in_order(self, nearest: Iterable[int], sources: Iterable[int]) -> None:
        """Reads what a view needs in the order of the video: a jump back costs hundreds of frames in a long one.

        Args:
            nearest: frames that are warped.
            sources: frames that are looked up.
        """
        needed = {*nearest, *sources}
        for _ in range(ROUNDS + 1):
            needed = needed.union(*(self.beside(frame) for frame in needed))
        for frame in sorted(needed):
            self.color(frame)
            if frame in sources:
                self.frame(frame)

    @cached_property
    def color(self) -> Callable[[int], Tensor]:
        """A frame in the size of its depth map, RGB in [0, 1]."""

        def color(frame: int) -> Tensor:
            rows, columns = self._rendered_depth(frame).shape
            return as_floats(resize_images(self.frame(frame), (columns, rows)))

        return lru_cache(_KEPT)(color)

    def inverse_depth(self, frame: int) -> Float[Tensor, "rows columns"]:
        """1 / z that a frame sees, NaN where it is not known.

        Args:
            frame: its position.
        """
        return self._refined_depth(frame, ROUNDS)

    def trust(self, frame: int) -> Float[Tensor, "rows columns"]:
        """How far the depth maps of its neighbours agree with that of a frame, 0 to 1.

        Args:
            frame: its position.
        """
        return self._compared(frame).trust

    @cached_property
    def error(self) -> Callable[[int], ColorError]:
        """What its neighbours get wrong of a frame's colours."""

        def error(frame: int) -> ColorError:
            beside, known = self._compared(frame), self.inverse_depth(frame)
            view = known, self.camera(frame), self.colors(beside.weights), self.cameras(beside.weights)
            others = look_up(*view, beside.agreement)
            return ColorError(color_error(self.color(frame), others, beside.agreement), beside.spread)

        return lru_cache(_KEPT)(error)

    @cached_property
    def beside(self) -> Callable[[int], dict[int, float]]:
        """The other frames that see most as a frame does, with their weights."""

        def beside(frame: int) -> dict[int, float]:
            distances = self.distances(frame)
            if len(distances) == 1:
                return {}
            weights = nearest_source_views(distances.index_fill(0, torch.tensor(frame), math.inf)[None])[0]
            weights.pop(frame, None)  # of few frames
            return weights

        return lru_cache(_KEPT)(beside)

    @cached_property
    def distances(self) -> Callable[[int], Tensor]:
        """How differently a frame and all others see the scene."""
        scene = self.reconstruction.scene
        return lru_cache(_KEPT)(lambda frame: view_distances(scene, self.camera(frame))[0])

    def agreement(
        self, known: Float[Tensor, "rows columns"], camera: Cameras, weights: dict[int, float]
    ) -> Float[Tensor, "source rows columns"]:
        """How far frames show what a view sees, times their weights: without steps, but 0 where something hides it.

        A frame's pixels beside a nearer thing hold some of its colour, so what is near hides a pixel more than it is.

        Args:
            known: 1 / z that the view sees; NaN where it is not known.
            camera: of the view.
            weights: of the frames, by position.
        """
        there = torch.stack([self._covering_depth(frame) for frame in weights])
        spreads = [(AGREEMENT, TEAR), (_HIDDEN, _ANY)]
        shown, unhidden = depth_agreement(known, camera, there, self.cameras(weights), spreads)
        return _weighted(shown, weights) * (unhidden / _IN_FULL).clamp_max(1)

    def colors(self, frames: Iterable[int]) -> Float[Tensor, "frame 3 rows columns"]:
        """As `color`, of some frames.

        Args:
            frames: their positions.
        """
        return torch.stack([self.color(frame) for frame in frames])

    def camera(self, frame: int) -> Cameras:
        """The camera of a frame, float32 on the CPU.

        Args:
            frame: its position.
        """
        return self.cameras([frame])

    def cameras(self, frames: Iterable[int]) -> Cameras:
        """Those of some frames.

        Args:
            frames: their positions.
        """
        return self._all_cameras.select([*frames])

    @cached_property
    def _all_cameras(self) -> Cameras:
        return self.reconstruction.scene.cameras.to("cpu", torch.float32)

    @cached_property
    def _rendered_depth(self) -> Callable[[int], Tensor]:
        """1 / z that the codes show a frame; NaN where it is not known."""
        if self.given is not None:
            return self.given.__getitem__
        small = even_size(self.size, CODES_SIDE)

        def rendered(frame: int) -> Tensor:
            return resize_maps(render_views(self.reconstruction, self.camera(frame), small).inverse_depth, self.size)[0]

        return lru_cache(_KEPT)(rendered)

    @cached_property
    def _refined_depth(self) -> Callable[[int, int], Tensor]:
        """1 / z that a frame sees, after some rounds of refinement by what its neighbours saw after one less."""

        def refined(frame: int, rounds: int) -> Tensor:
            others = self.beside(frame)
            if rounds == 0 or not others:
                return self._rendered_depth(frame)
            own = self._refined_depth(frame, rounds - 1)
            depths = torch.stack([self._refined_depth(other, rounds - 1) for other in others])
            images = torch.stack([self._brightness(other) for other in others])
            view = self._brightness(frame), self.camera(frame)
            return self._where_still(frame, refine_depth(own, *view, depths, images, self.cameras(others)), own)

        return lru_cache(ROUNDS * _KEPT)(refined)

    def _where_still(self, frame: int, refined: Tensor, own: Tensor) -> Tensor:
        """The refined depth of a frame; its own where something moves by itself, which neighbours cannot judge."""
        static = self.reconstruction.scene.camera.static
        if static is None:
            return refined
        still = resize_maps(static[frame : frame + 1].cpu(), (own.shape[1], own.shape[0]))[0]
        return torch.where(still > 0.5, refined, own)

    @cached_property
    def _brightness(self) -> Callable[[int], Tensor]:
        return lru_cache(_KEPT)(lambda frame: self.color(frame).mean(0))

    @cached_property
    def _covering_depth(self) -> Callable[[int], Tensor]:
        """1 / z that a frame sees, what is near a pixel larger than it is."""
        return lru_cache(_KEPT)(lambda frame: F.max_pool2d(self.inverse_depth(frame).nan_to_num(0.0)[None], 3, 1, 1)[0])

    @cached_property
    def _compared(self) -> Callable[[int], "_Compared"]:
        """A frame beside those that see most alike."""

        def compared(frame: int) -> _Compared:
            weights = self.beside(frame)
            there = torch.stack([self.inverse_depth(other) for other in weights])
            view = self.inverse_depth(frame), self.camera(frame), there, self.cameras(weights)
            agreeing, seeing, shown = depth_agreement(*view, [(_SAME, _ANY), (_ANY, _ANY), (AGREEMENT, TEAR)])
            trust = (agreeing.sum(0) + _PRIOR / 2) / (seeing.sum(0) + _PRIOR)
            return _Compared(trust, weights, _weighted(shown, weights), mean_square(weights, self.distances(frame)))

        return lru_cache(2 * SOURCES)(compared)


@dataclass(frozen=True)
class _Compared:
    """A frame beside its neighbours.

    Args:
        trust: how far their depth maps agree with its own.
        weights: theirs, by position.
        agreement: how far each shows what the frame sees, times its weight.
        spread: as in `mean_square`.
    """

    trust: Float[Tensor, "rows columns"]
    weights: dict[int, float]
    agreement: Float[Tensor, "source rows columns"]
    spread: float


def _weighted(
    agreement: Float[Tensor, "source rows columns"], weights: dict[int, float]
) -> Float[Tensor, "source rows columns"]:
    """How far source views show what a view sees, blurred by two pixels or so, times their weights."""
    return box_mean(box_mean(agreement, 2), 2) * torch.tensor([*weights.values()])[:, None, None]


def nearest_source_views(distances: Float[Tensor, "view frame"]) -> list[dict[int, float]]:
    """For each view of a path, the frames that see most alike, weighted by nearness.

    Args:
        distances: as of `view_distances`.
    """
    source_views = []
    for row in distances:
        nearest = row.argsort()[:SOURCES].tolist()
        shares = {i: 1 / (row[i].item() + 0.02) ** SHARPNESS for i in nearest}
        total = sum(shares.values())
        source_views.append({i: share / total for i, share in shares.items()})
    return source_views


def view_distances(scene: Scene, path: Cameras) -> Float[Tensor, "view frame"]:
    """How differently each view of a path and each frame of a clip see a scene, in image widths.

    Args:
        scene: of a video.
        path: cameras of the views, in the scene's world.
    """
    frames = scene.cameras.to("cpu", torch.float32)
    return viewpoint_distance(frames, scene.camera.median_inverse_depth.cpu(), path.to("cpu", torch.float32)).T
