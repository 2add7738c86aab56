"""COLMAP (Schönberger and Frahm 2016, "Structure-from-Motion Revisited") through pycolmap, an optional package."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pycolmap
import torch

from video_ae.errors import UserError
from video_ae.evaluation.peers import colmap_process
from video_ae.evaluation.protocols.base import PoseEstimate
from video_ae.geometry.se3 import invert, rigid
from video_ae.scene.rendering import to_image
from video_ae.types import Cameras, VideoClip


class Colmap:
    """A `PoseEstimator`: SIFT, one camera for the whole clip, incremental mapping, the largest model.

    If the clip carries intrinsics they are kept fixed (PINHOLE); otherwise the camera is refined from a focal length
    of 1.2 times the longer side. One thread and a fixed seed, so that a run can be repeated; a process of its own.
    Raises UserError where COLMAP finds no model or its process ends.

    Args:
        model: of the camera, where no intrinsics are given: one of COLMAP's names.
        easy: whether weaker SIFT peaks and smaller angles are accepted, for short paths and small images.
        seed: of COLMAP's random numbers.
        linear: how clips of more than 60 frames are matched, as in `colmap_process.find_models`.
    """

    def __init__(self, model: str = "SIMPLE_RADIAL", easy: bool = False, seed: int = 0, linear: bool = False) -> None:
        self._model, self._common = model, {"easy": easy, "seed": seed, "linear": linear}

    def __call__(self, clip: VideoClip) -> PoseEstimate:
        with tempfile.TemporaryDirectory() as folder:
            _write_images(clip, Path(folder) / "images")
            options = {**_camera(clip, self._model), **self._common}
            run_program(colmap_process.__file__, folder, json.dumps(options))
            models = [pycolmap.Reconstruction(path) for path in (Path(folder) / "models").iterdir()]
        if not models:
            raise UserError("COLMAP found no model of this clip.")
        return _estimate(max(models, key=lambda model: model.num_reg_images()), clip)


def run_program(*arguments: str) -> None:
    """Runs a Python program and waits for its end.

    Args:
        *arguments: its file, and what it is given.

    Raises:
        UserError: it ended by a signal or an error.
    """
    ended = subprocess.run([sys.executable, "-P", *arguments], capture_output=True, text=True, errors="replace")
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit code {ended.returncode}"
        raise UserError(f"COLMAP's process ended by {how} on this clip{f': {lines[-1]}' if lines else ''}.")


def _camera(clip: VideoClip, model: str) -> dict[str, Any]:
    """The camera as `find_models` takes it."""
    if clip.cameras is None:
        return {"camera": model}
    width, height = clip.image_size
    fx, fy, cx, cy = clip.cameras.intrinsics.double().mean(0).tolist()
    return {"camera": "PINHOLE", "parameters": f"{fx * width},{fy * height},{cx * width},{cy * height}"}


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
