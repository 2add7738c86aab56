"""A folder as `video-ae annotate` writes it, with cameras that the tests made up."""

from dataclasses import replace
from pathlib import Path

import torch
from prepared_videos import pan, write

from video_ae.annotation.annotation_row import AnnotationRow
from video_ae.annotation.annotation_table import write_parquet
from video_ae.formats.scene import write_scene
from video_ae.geometry.se3 import se3_exp
from video_ae.types import CameraEstimate, Cameras, Scene, VideoClip


def made_up_estimate(frames: int, seed: int = 0) -> CameraEstimate:
    """Cameras on a way, in a world and a scale of their own."""
    draw = torch.Generator().manual_seed(seed)
    pose = se3_exp(0.1 * torch.randn(frames, 6, generator=draw))
    intrinsics = torch.tensor([0.8, 1.2, 0.5, 0.5]).expand(frames, 4)
    depth = 0.5 + torch.rand(frames, 21, 28, generator=draw)
    return CameraEstimate(Cameras(pose, intrinsics), depth, torch.full((frames,), 0.9), torch.zeros(frames, 6, 6))


def write_annotated(root: Path, source: str | None = None, **changes: object) -> tuple[Path, list[AnnotationRow]]:
    """The folder and its rows: two shots of one video, which is written if no source is given, and an unusable one."""
    source = str(write(root / "videos" / "film.mp4", pan(0, 14), pan(1, 16))) if source is None else source
    rows = [AnnotationRow("broken", source=str(root / "broken.mp4"), reason="It cannot be read.")]
    for number, (first, frames) in enumerate([(0, 14), (14, 16)]):
        folder = root / "annotated" / f"film/shot_{number:03d}"
        (folder / "scene").mkdir(parents=True)
        black = torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(frames, 3, 64, 96)
        clip = VideoClip(black, torch.arange(first, first + frames), torch.arange(frames) / 10)
        write_scene(folder / "scene", Scene(clip, made_up_estimate(frames, number), (), ()), (96, 64))
        row = AnnotationRow("film", number, f"film/shot_{number:03d}", source, "", first, frames, confidence=0.9)
        rows.append(replace(row, **changes) if number else row)
    write_parquet(root / "annotated" / "annotations.parquet", [rows])
    return root / "annotated", rows
