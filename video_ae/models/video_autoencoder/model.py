"""The Video Autoencoder of Lai, Liu, Efros and Wang (ICCV 2021, arXiv 2110.02951), the ancestor of this package.

video -> clips -> (deep voxels of the first frame, affine motions) -> warp -> decode -> reconstruction loss.
"""

from itertools import accumulate

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from video_ae.errors import UserError
from video_ae.geometry.pinhole import pinhole_intrinsics
from video_ae.geometry.resize import resize_to_floats
from video_ae.geometry.se3 import invert, rigid
from video_ae.models.base import Options, VideoModel
from video_ae.models.video_autoencoder.affine_warp import AffineWarp, FoldedDecoder, Voxels, warp_voxels
from video_ae.models.video_autoencoder.deep_voxels import DeepVoxelEncoder
from video_ae.models.video_autoencoder.pair_regressor import Images, Motions, PairRegressor, motion_matrix
from video_ae.types import CameraEstimate, Cameras, DeepVoxels, ModelOutput, RenderedViews, Scene, VideoClip

REENCODE_EVERY = 12  # frames between structure codes of a long video, in the paper
_STAND_IN_FOCAL = 0.9  # in widths; for records that must hold a focal length
_STEP = 16  # sizes that the trunk can halve
_NO_CAMERA = (
    "the paper model has no focal length, depth, confidence or covariance: intrinsics are those given or a stand-in of "
    "0.9 widths, covariances are so large that they say nothing, and distances are half edges of its voxel cube",
)
_NOTHING_KNOWN = 1e6  # a variance beyond any error: who weighs by it gives no weight, a region drawn from it is all


class PaperVideoAutoencoder(VideoModel):
    """Deep voxels and affine motions, without a camera model. 31.03 M parameters at the published width.

    Args:
        width: the trunk's first width; 64 as published, smaller for small experiments. Every other width follows.
        imagenet_weights: a file of torchvision's ResNet-50 to start from, "auto" for torch's hub cache, None for a
            random start (`encoder_3d.start` says which it was). Saved weights need no such file.
        image_size: (width, height) in pixels, multiples of 16, to which frames are resized when a video is evaluated or
            reconstructed. Training takes clips as they come.
    """

    only_at_start = ("imagenet_weights",)

    def __init__(self, width: int = 64, imagenet_weights: str | None = None, image_size: tuple[int, int] = (256, 256)):
        super().__init__()
        _check_size(*image_size)
        if width < 4 or width % 4:
            raise UserError(f"The paper model's width must be a multiple of 4, got {width}: 64 is the published one.")
        self.image_size = (image_size[0], image_size[1])
        self.encoder_3d = DeepVoxelEncoder(width, imagenet_weights)
        self.encoder_traj = PairRegressor(width)
        self.rotate = AffineWarp(width)
        self.decoder = FoldedDecoder(width)

    def encode_structure(self, frames: Images) -> Float[Tensor, "batch channel 32 rows columns"]:
        """Deep voxels of single frames; rows = height / 4, columns = width / 4.

        Args:
            frames: RGB in [0, 1], sizes divisible by 16.
        """
        _check_size(frames.shape[-1], frames.shape[-2])
        return self.encoder_3d(frames)

    def encode_camera(self, reference: Images, frames: Images) -> Motions:
        """`reference_from_target`: takes points of the frame's cube [-1, 1]^3 (x, y, z) to the reference's.

        Args:
            reference: the frame that the structure was made from.
            frames: the targets.
        """
        return motion_matrix(self.encoder_traj(reference, frames))

    def warp(self, structure: Voxels, camera: Motions) -> Float[Tensor, "batch channel2 plane rows columns"]:
        """The structure code as the target sees it, through the two 3D convolutions.

        Args:
            structure: deep voxels of the reference.
            camera: `reference_from_target`.
        """
        return self.rotate(structure, camera)

    def decode(self, warped: Voxels, size: tuple[int, int] | None = None) -> Images:
        """RGB, not clamped.

        Args:
            warped: the structure as the target sees it.
            size: (width, height), by default four times columns and rows.
        """
        return self.decoder(warped, size or (4 * warped.shape[-1], 4 * warped.shape[-2]))

    def forward(self, clip: VideoClip) -> ModelOutput:
        """All frames of a clip from its first one.

        Args:
            clip: a batch of clips.

        Returns:
            The frames, with `extras`: "voxels" are the later frames' own, "carried_voxels" the first frame's, moved on
            by the chain of frame-to-frame motions; [batch, frame - 1, channel, plane, row, column].
        """
        frames = clip.frames
        count = frames.shape[1]
        first = self.encode_structure(frames[:, 0])
        motions = self.encode_camera(repeat(frames[:, 0], "b ... -> (b f) ...", f=count), frames.flatten(0, 1))
        warped = self.warp(repeat(first, "b ... -> (b f) ...", f=count), motions)
        images = self.decode(warped, clip.image_size).unflatten(0, (-1, count))
        extras = {"motions": motions.unflatten(0, (-1, count))}
        if count > 1:
            extras["carried_voxels"] = self._carry(first, frames)
            extras["voxels"] = self.encode_structure(frames[:, 1:].flatten(0, 1)).unflatten(0, (-1, count - 1))
        return ModelOutput(images, torch.arange(count, device=frames.device), extras=extras)

    def _carry(self, voxels: Tensor, frames: Tensor) -> Tensor:
        steps = self.encode_camera(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
        carried = accumulate(steps.unflatten(0, (len(frames), -1)).unbind(1), warp_voxels, initial=voxels)
        return torch.stack(list(carried)[1:], 1)

    @torch.no_grad()
    def find_cameras(self, clip: VideoClip, options: Options = Options()) -> CameraEstimate:
        """The chain of frame-to-frame motions, each relative to the encoder's answer for a frame paired with itself, as
        in the paper.

        What the model does not know has a stand-in, and the notes say so: inverse depth 1, confidence 0.5, covariances
        of 1e6 times the identity (any pose lies in every region drawn from them, so a coverage of 100 % means nothing).

        Args:
            clip: as in `VideoModel.find_cameras`.
            options: of which the focal length counts.
        """
        frames = resize_to_floats(clip.frames, self.image_size)
        steps = self._calibrated(frames[:-1], frames[1:])
        return _estimate(compose_motions(steps), clip, options.focal)

    @torch.no_grad()
    def synthesize(self, contexts: VideoClip, target: VideoClip, options: Options = Options()) -> RenderedViews:
        """The target frame, clamped to [0, 1]; the model has no disparity (0) and no opacity (1).

        Args:
            contexts: the first one alone is seen.
            target: its pixels are read by the camera encoder only.
            options: ignored.
        """
        reference = resize_to_floats(contexts.frames[:1], self.image_size)
        frame = resize_to_floats(target.frames, self.image_size)
        warped = self.warp(self.encode_structure(reference), self.encode_camera(reference, frame))
        return _views(self.decode(warped, target.image_size).clamp(0, 1))

    @torch.no_grad()
    def encode_scene(self, clip: VideoClip, options: Options = Options()) -> Scene:
        """Every twelfth frame gives deep voxels, every frame a pose, relative to the keyframe before it.

        Args:
            clip: as in `VideoModel.encode_scene`.
            options: of which the focal length and `progress` count.
        """
        frames = resize_to_floats(clip.frames, self.image_size)
        poses: list[Tensor] = []
        keyframes, structures = [], []
        for start in range(0, len(frames), REENCODE_EVERY):
            part = frames[start : start + REENCODE_EVERY + 1]
            reference = part[:1].expand_as(part)
            local = self._calibrated(reference, part)
            world_from_keyframe = poses.pop() if poses else torch.eye(4, device=frames.device)
            poses.extend((world_from_keyframe @ local).unbind(0))
            keyframes.append(start)
            self_motion = _square(self.encode_camera(part[:1], part[:1]))[0]
            structures.append(DeepVoxels(self.encode_structure(part[:1])[0], self_motion))
            options.progress("encoding", min(1.0, (start + REENCODE_EVERY) / len(frames)))
        camera = _estimate(torch.stack(poses), clip, options.focal)
        return Scene(clip, camera, tuple(keyframes), tuple(structures))

    @torch.no_grad()
    def render(self, scene: Scene, cameras: Cameras, size: tuple[int, int] | None = None) -> RenderedViews:
        """Views (clamped), each from the keyframe whose camera is nearest.

        Disparity is 0 and opacity 1 everywhere, since the model has neither.

        Args:
            scene, size: as in `VideoModel.render`.
            cameras: in the scene's world; their intrinsics are ignored.

        Raises:
            UserError: another model made the scene.
        """
        codes = [one for one in scene.structures if isinstance(one, DeepVoxels)]
        if not codes:
            raise UserError("The paper model renders only scenes that it reconstructed itself: reconstruct it again.")
        size = size or scene.clip.image_size
        keyposes = scene.cameras.world_from_camera[list(scene.keyframes)]
        wanted = cameras.world_from_camera.to(keyposes)
        apart = (wanted[:, None] - keyposes).square().sum((-1, -2))
        views = []
        for pose, nearest in zip(wanted, apart.argmin(-1).tolist(), strict=True):
            motion = codes[nearest].self_motion @ invert(keyposes[nearest]) @ pose
            views.append(self.decode(self.warp(codes[nearest].voxels[None], motion[None, :3]), size).clamp(0, 1))
        return _views(torch.cat(views))

    def _calibrated(self, references: Tensor, frames: Tensor) -> Tensor:
        bias = _square(self.encode_camera(references, references))
        return invert(bias) @ _square(self.encode_camera(references, frames))


def compose_motions(steps: Float[Tensor, "step 4 4"], as_published: bool = False) -> Float[Tensor, "frame 4 4"]:
    """Poses in the first frame's axes from frame-to-frame motions.

    Args:
        steps: `previous_from_next`.
        as_published: composes as the authors' evaluation did, rotations from the left and translations from the right,
            which is not a rigid trajectory once the camera rotates about more than one axis; for comparison only.
    """

    def move(pose: Tensor, step: Tensor) -> Tensor:
        moved = pose @ step
        return rigid(step[:3, :3] @ pose[:3, :3], moved[:3, 3]) if as_published else moved

    return torch.stack(list(accumulate(steps, move, initial=torch.eye(4, dtype=steps.dtype, device=steps.device))))


@torch.no_grad()
def predict_video(model: PaperVideoAutoencoder, frames: Images, reencode_every: int = REENCODE_EVERY) -> Images:
    """The paper's view-synthesis protocol: every frame from the structure of the first.

    Frame 0 is copied. The camera encoder sees the true frames, also where the structure is encoded again (its reference
    is then the true frame, as in the authors' code).

    Args:
        model: in eval mode.
        frames: RGB in [0, 1], sizes divisible by 16.
        reencode_every: after so many frames the structure is encoded again, from the model's own prediction.
    """
    size = (frames.shape[-1], frames.shape[-2])
    predictions = [frames[:1]]
    reference, structure = frames[:1], model.encode_structure(frames[:1])
    for i in range(len(frames) - 1):
        if i and i % reencode_every == 0:
            reference, structure = frames[i : i + 1], model.encode_structure(predictions[-1])
        motion = model.encode_camera(reference, frames[i + 1 : i + 2])
        predictions.append(model.decode(model.warp(structure, motion), size).clamp(0, 1))
    return torch.cat(predictions)


def _check_size(width: int, height: int) -> None:
    if width % _STEP or height % _STEP or width < _STEP or height < _STEP:
        near = tuple(max(_STEP, round(side / _STEP) * _STEP) for side in (width, height))
        raise UserError(
            f"The paper model takes frames whose width and height are multiples of {_STEP}, got {width}x{height}: "
            f"resize them to {near[0]}x{near[1]}."
        )


def _views(rgb: Float[Tensor, "view 3 height width"]) -> RenderedViews:
    flat = rgb[:, 0]
    return RenderedViews(rgb, torch.zeros_like(flat), torch.ones_like(flat))


def _square(matrix: Tensor) -> Tensor:
    return rigid(matrix[..., :3], matrix[..., 3])


def _estimate(poses: Tensor, clip: VideoClip, focal_over_width: float | None) -> CameraEstimate:
    count = len(poses)
    focal = torch.full((count,), focal_over_width or _STAND_IN_FOCAL, device=poses.device)
    cameras = Cameras(poses, pinhole_intrinsics(focal, *clip.image_size))
    return CameraEstimate(
        cameras,
        inverse_depth=torch.ones(count, 1, 1, device=poses.device),
        confidence=torch.full((count,), 0.5, device=poses.device),
        covariance=repeat(_NOTHING_KNOWN * torch.eye(6, device=poses.device), "i j -> f i j", f=count).contiguous(),
        notes=_NO_CAMERA,
    )
