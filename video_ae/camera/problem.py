"""The records of the bundle adjustment: matches, what is solved for, what is known beforehand."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Matches:
    """Where points of source frames are seen in target frames.

    source, target: frame numbers of each edge of the frame graph.
    points: the source points, the same for all frames, in pixels from the principal point.
    matched: where each point is seen in the target, in pixels from the principal point.
    information: 2x2 inverse covariance of each match, 1 / pixel^2; zero where nothing was matched.
    """

    source: Int[Tensor, "edge"]
    target: Int[Tensor, "edge"]
    points: Float[Tensor, "point 2"]
    matched: Float[Tensor, "edge point 2"]
    information: Float[Tensor, "edge point 2 2"]


@dataclass(frozen=True)
class SceneState:
    """What is solved for.

    camera_from_world: rigid poses.
    inverse_depth: along z of the frame that a point belongs to; 1 is the mean.
    log_focal: logarithm of the focal length in pixels.
    """

    camera_from_world: Float[Tensor, "frame 4 4"]
    inverse_depth: Float[Tensor, "frame point"]
    log_focal: Float[Tensor, ""]


@dataclass(frozen=True)
class Priors:
    """Weak knowledge that keeps the unobservable at rest; each weight is an inverse variance.

    inverse_depth: what each depth is pulled to, with `depth_weight`.
    translation_weight: pulls relative translations of neighbours towards zero.
    focal_weight: pulls the logarithm of the focal length towards `log_focal`.
    """

    inverse_depth: Float[Tensor, "frame point"]
    depth_weight: Float[Tensor, "frame point"]
    log_focal: Float[Tensor, ""]
    focal_weight: float
    translation_weight: float = 0.0


@dataclass(frozen=True)
class FreeParameters:
    """Which parts of the scene a solve may move (the first camera is always the world)."""

    depth: bool = True
    cameras: bool = True
    translation: bool = True
    focal: bool = True


@dataclass(frozen=True)
class KnownParameters:
    """What is given about a clip: focal length in pixels (None: unknown), inverse depths on the point grid.

    turning: the camera only turns, there is neither translation nor depth to be found.
    """

    focal: float | None
    inverse_depth: Tensor | None
    turning: bool = False
