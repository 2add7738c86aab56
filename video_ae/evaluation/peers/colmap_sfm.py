"""COLMAP (Schönberger and Frahm 2016, "Structure-from-Motion Revisited") through pycolmap, an optional package."""

import tempfile
from pathlib import Path

import pycolmap
import torch

from video_ae.errors import UserError
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.geometry.se3 import invert, rigid
from video_ae.scene.rendering import to_image
from video_ae.types import Cameras, VideoClip

MOST_FRAMES_EXHAUSTIVE = 60  # longer clips are matched sequentially
_CPU = pycolmap.Device.cpu


class Colmap:
    """A `PoseEstimator`: SIFT, one camera for the whole clip, incremental mapping, the largest model.

    If the clip carries intrinsics they are kept fixed (PINHOLE); otherwise the camera is refined from a focal length
    of 1.2 times the longer side. One thread and a fixed seed, so that a run can be repeated. Raises UserError where
    COLMAP finds no model.

    Args:
        model: of the camera, where no intrinsics are given: one of COLMAP's names.
        easy: whether weaker SIFT peaks and smaller angles are accepted, for short paths and small images.
        seed: of COLMAP's random numbers.
    """

    def __init__(self, model: str = "SIMPLE_RADIAL", easy: bool = False, seed: int = 0) -> None:
        self._model, self._easy, self._seed = model, easy, seed

    def __call__(self, clip: VideoClip) -> PoseEstimate:
        pycolmap.set_random_seed(self._seed)
        pycolmap.logging.minloglevel = 2
        with tempfile.TemporaryDirectory() as folder:
            images, database = Path(folder) / "images", Path(folder) / "database.db"
            _write_images(clip, images)
            self._extract(clip, database, images)
            self._match(len(clip), database)
            models = pycolmap.incremental_mapping(database, images, Path(folder) / "models", self._mapping(clip))
        if not models:
            raise UserError("COLMAP found no model of this clip.")
        return _estimate(max(models.values(), key=lambda model: model.num_reg_images()), clip)

    def _extract(self, clip: VideoClip, database: Path, images: Path) -> None:
        reader, extraction = pycolmap.ImageReaderOptions(), pycolmap.FeatureExtractionOptions()
        reader.camera_model = self._model
        if clip.cameras is not None:
            width, height = clip.image_size
            fx, fy, cx, cy = clip.cameras.intrinsics.double().mean(0).tolist()
            reader.camera_model = "PINHOLE"
            reader.camera_params = f"{fx * width},{fy * height},{cx * width},{cy * height}"
        extraction.num_threads = 1
        if self._easy:
            extraction.sift.peak_threshold = 0.002
        pycolmap.extract_features(
            database, images, [], pycolmap.CameraMode.SINGLE, reader_options=reader, extraction_options=extraction,
            device=_CPU,
        )  # fmt: skip

    def _match(self, frames: int, database: Path) -> None:
        options = pycolmap.FeatureMatchingOptions()
        options.num_threads = 1
        match = pycolmap.match_exhaustive if frames <= MOST_FRAMES_EXHAUSTIVE else pycolmap.match_sequential
        match(database, options, device=_CPU)

    def _mapping(self, clip: VideoClip) -> pycolmap.IncrementalPipelineOptions:
        options = pycolmap.IncrementalPipelineOptions()
        options.min_model_size, options.num_threads, options.random_seed = 3, 1, self._seed
        if clip.cameras is not None:
            options.ba_refine_focal_length = options.ba_refine_extra_params = False
            options.mapper.abs_pose_refine_focal_length = options.mapper.abs_pose_refine_extra_params = False
        if self._easy:
            mapper, triangulation = options.mapper, options.triangulation
            mapper.init_min_tri_angle, mapper.init_min_num_inliers = 4.0, 30
            mapper.abs_pose_min_num_inliers, mapper.init_max_forward_motion = 15, 0.99
            mapper.filter_min_tri_angle = triangulation.min_angle = 0.5
        return options


def _write_images(clip: VideoClip, folder: Path) -> None:
    folder.mkdir()
    for number, frame in enumerate(clip.frames):
        to_image(frame).save(folder / f"{number:06d}.png")


def _estimate(model: pycolmap.Reconstruction, clip: VideoClip) -> PoseEstimate:
    """The registered frames' cameras; the others are marked as not posed."""
    width, height = clip.image_size
    camera = next(iter(model.cameras.values()))
    fx, fy = camera.mean_focal_length() / width, camera.mean_focal_length() / height
    if camera.model == pycolmap.CameraModelId.PINHOLE:
        fx, fy = camera.focal_length_x / width, camera.focal_length_y / height
    intrinsics = torch.tensor([fx, fy, camera.principal_point_x / width, camera.principal_point_y / height])
    poses = torch.eye(4, dtype=torch.float64).repeat(len(clip), 1, 1)
    posed = torch.zeros(len(clip), dtype=torch.bool)
    for image_id in model.reg_image_ids():
        image = model.images[image_id]
        camera_from_world = torch.tensor(image.cam_from_world().matrix(), dtype=torch.float64)
        frame = int(Path(image.name).stem)
        poses[frame] = invert(rigid(camera_from_world[:, :3], camera_from_world[:, 3]))
        posed[frame] = True
    return PoseEstimate(Cameras(poses, intrinsics.double().repeat(len(clip), 1)), posed=posed)
