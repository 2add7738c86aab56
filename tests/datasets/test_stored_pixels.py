"""Images with an EXIF flag beside cameras, which belong to the pixels as they are stored."""

import json
import math
from pathlib import Path

import pytest
import test_nerfstudio_scenes as nerfstudio
from PIL import Image
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, write_images
from test_lost_poses import WRITERS, Write

from video_ae.datasets.open import open_dataset
from video_ae.videos.image_folder import EXIF_ORIENTATION, ImageFolderReader

HALF_TURN, QUARTER_TURN = 3, 6


def set_flag(file: Path, orientation: int) -> None:
    with Image.open(file) as image:
        exif = image.getexif()
        exif[EXIF_ORIENTATION] = orientation
        image.save(file, exif=exif, **({"quality": 95} if file.suffix == ".jpg" else {}))


@pytest.mark.parametrize("orientation", [HALF_TURN, QUARTER_TURN])
@pytest.mark.parametrize("write", WRITERS)
def test_the_flag_is_ignored_where_there_are_cameras(tmp_path: Path, write: Write, orientation: int) -> None:
    root = write(tmp_path, 0.0)
    files = [file for file in tmp_path.rglob("*") if file.suffix in (".png", ".jpg")]
    for file in files:
        set_flag(file, orientation)
    source = open_dataset(root)
    assert source.open(0).image_size == (WIDTH, HEIGHT)
    assert dot_error(source.load(0)) < 1
    upright = ImageFolderReader(files[0].parent, files[:1])
    assert upright.image_size == ((WIDTH, HEIGHT) if orientation == HALF_TURN else (HEIGHT, WIDTH)), (
        "a plain folder obeys"
    )


def test_an_angle_of_view_without_a_size_belongs_to_stored_pixels(tmp_path: Path) -> None:
    """Of the kind that instant-ngp writes; the size comes from the images."""
    files = [tmp_path / name.replace(".png", ".jpg") for name in nerfstudio.NAMES]
    write_images(files, (60.0, 60.0, WIDTH / 2, HEIGHT / 2))
    for file in files:
        set_flag(file, QUARTER_TURN)
    names = [file.relative_to(tmp_path).as_posix() for file in files]
    content = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / 60), "frames": nerfstudio.frames(names=names)}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    source = open_dataset(tmp_path)
    assert source.frame_count(0) == COUNT
    assert dot_error(source.load(0)) < 1
