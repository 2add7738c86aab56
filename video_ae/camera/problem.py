"""The records of the camera solver: what is matched, what is solved for, what is known beforehand, what comes out."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from video_ae.geometry.se3 import invert
from video_ae.tensor_records import TensorRecord
from video_ae.threads import mean_of_all


@dataclass(frozen=True)
class Correspondences(TensorRecord):
    """Where points of source frames are seen in target frames.

    Args:
        source, target: frame numbers of each edge of the frame graph.
        points: the source points, the same for all frames, in pixels from the principal point.
        matched: where each point is seen in the target, in pixels from the principal point.
        information: 2x2 inverse covariance of each match, 1 / pixel^2; zero where nothing was matched.
    """

    axis: ClassVar[str] = "edge"

    source: Int[Tensor, "edge"]
    target: Int[Tensor, "edge"]
    points: Float[Tensor, "point 2"]
    matched: Float[Tensor, "edge point 2"]
    information: Float[Tensor, "edge point 2 2"]

    @property
    def reliable(self) -> Bool[Tensor, "edge point"]:
        """Which matches carry information: known to about a pixel."""
        return self.information.diagonal(dim1=-2, dim2=-1).sum(-1) > 1


@dataclass(frozen=True)
class PointGrid:
    """The points of a frame graph that get a depth, and the working size of its frames.

    Args:
        rows, columns: of the points.
        width, height: of the frames, in pixels.
    """

    rows: int
    columns: int
    width: int
    height: int


@dataclass(frozen=True)
class SceneState(TensorRecord):
    """What is solved for.

    Args:
        camera_from_world: rigid poses (extrinsics).
        inverse_depth: along z of the frame that a point belongs to; 1 is the mean.
        log_focal: logarithm of the focal length in pixels.
    """

    camera_from_world: Float[Tensor, "frame 4 4"]
    inverse_depth: Float[Tensor, "frame point"]
    log_focal: Float[Tensor, ""]

    def __len__(self) -> int:
        return len(self.camera_from_world)

    def relative_to_first(self) -> "SceneState":
        """The same scene in the world that is the first frame's camera."""
        poses = self.camera_from_world
        return replace(self, camera_from_world=poses @ invert(poses[:1]))

    def reversed(self) -> "SceneState":
        """The same scene with its frames in the opposite order; the new first camera is the world."""
        return self.select(list(range(len(self) - 1, -1, -1))).relative_to_first()

    def scaled(self, scale: Tensor | float) -> "SceneState":
        """The same scene in a world that is so many times as large.

        Args:
            scale: one for all frames.
        """
        poses = self.camera_from_world.clone()
        poses[:, :3, 3] *= scale
        return replace(self, camera_from_world=poses, inverse_depth=self.inverse_depth / scale)

    def normalized(self) -> "SceneState":
        """The same scene at the scale where the mean inverse depth is 1."""
        return self.scaled(mean_of_all(self.inverse_depth))

    @property
    def is_pure_rotation(self) -> bool:
        """Whether no camera moves away from the first."""
        return bool(self.camera_from_world[:, :3, 3].abs().max() == 0)


@dataclass(frozen=True)
class Priors:
    """Weak knowledge that keeps the unobservable at rest; each weight is an inverse variance.

    Args:
        inverse_depth: what each depth is pulled to, with `depth_weight`.
        depth_weight: of each point.
        log_focal: what the logarithm of the focal length in pixels is pulled to, with `focal_weight`.
        focal_weight: of the focal length.
    """

    inverse_depth: Float[Tensor, "frame point"]
    depth_weight: Float[Tensor, "frame point"]
    log_focal: Float[Tensor, ""]
    focal_weight: float


@dataclass(frozen=True)
class FreeParameters:
    """Which parts of the scene a solve may move (the first camera is always the world).

    Args:
        depth: the inverse depths.
        cameras: the poses.
        translation: of the poses.
        focal: the focal length.
        held: positions of frames whose poses stay.
    """

    depth: bool = True
    cameras: bool = True
    translation: bool = True
    focal: bool = True
    held: tuple[int, ...] = ()


@dataclass(frozen=True)
class KnownParameters:
    """What is given about a clip.

    Args:
        focal: focal length in pixels of the working size, or None.
        inverse_depth: [frame, point] on the point grid, or None; half of the depth prior.
        pure_rotation: the camera only turns, there is neither translation nor depth to be found.
    """

    focal: float | None
    inverse_depth: Tensor | None = None
    pure_rotation: bool = False

    @property
    def free(self) -> FreeParameters:
        """What remains to be solved for."""
        moves = not self.pure_rotation
        return FreeParameters(depth=moves, translation=moves, focal=self.focal is None)


@dataclass(frozen=True)
class Submap(TensorRecord):
    """Some frames that were solved together, and how well they are determined.

    Args:
        state: poses, depths and focal length; the first frame is the world.
        grid: of the depths, with the working size in whose pixels the focal length is.
        covariance: of each pose's left twist relative to the first frame.
        confidence: 0 (a guess) to 1 (well determined), per frame.
        notes: what could not be determined and why, a flag and a sentence each.
        focal_variance: of the logarithm of the focal length, as far as correspondences tell.
    """

    state: SceneState
    grid: PointGrid
    covariance: Float[Tensor, "frame 6 6"]
    confidence: Float[Tensor, "frame"]
    notes: tuple[str, ...] = ()
    focal_variance: float = 0.0

    def __len__(self) -> int:
        return len(self.state)

    @property
    def focal_over_width(self) -> Float[Tensor, ""]:
        """fx / width."""
        return self.state.log_focal.exp() / self.grid.width

    @property
    def world_from_camera(self) -> Float[Tensor, "frame 4 4"]:
        """Camera to world, the first frame's camera being the world."""
        return invert(self.state.relative_to_first().camera_from_world)

    def frames(self, chosen: slice | list[int]) -> "Submap":
        """Some of the frames; the first of them becomes the world. Covariances stay those relative to the old one.

        Args:
            chosen: their positions.
        """
        part = self.select(chosen)
        return replace(part, state=part.state.relative_to_first(), notes=())

    def reversed(self) -> "Submap":
        """The same frames in the opposite order; the new first camera is the world."""
        return self.frames(list(range(len(self) - 1, -1, -1)))


def clamp_gaps(gaps: tuple[int, ...], frames: int) -> tuple[int, ...]:
    """Gaps that fit into a clip; the widest that does takes the place of those that do not.

    Args:
        gaps: distances of the frames of a pair.
        frames: in the clip.

    >>> clamp_gaps((1, 3, 6, 10), 5)
    (1, 3, 4)
    """
    return tuple(dict.fromkeys(min(gap, frames - 1) for gap in gaps))


def focal_in_pixels(focal_over_width: float | None, grid: PointGrid) -> float | None:
    """A focal length in pixels of the working size, or None where it is not known.

    Args:
        focal_over_width: fx / width.
        grid: of the frames.
    """
    return None if focal_over_width is None else float(focal_over_width) * grid.width
