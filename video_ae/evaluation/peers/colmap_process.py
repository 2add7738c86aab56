"""COLMAP on a folder of images, a program of its own: what ends it must not end an evaluation.

`python colmap_process.py FOLDER OPTIONS`: FOLDER/images -> FOLDER/models/N in COLMAP's own format. OPTIONS are the
arguments of `find_models` as JSON. It imports pycolmap and nothing of this package, so that it starts at once.
"""

import json
import sys
from pathlib import Path

import pycolmap

MOST_FRAMES_EXHAUSTIVE = 60  # longer clips are matched sequentially
_CPU = pycolmap.Device.cpu


def find_models(
    folder: Path, camera: str, parameters: str = "", easy: bool = False, seed: int = 0, linear: bool = False
) -> None:
    """SIFT, matching of all pairs (or sequential, in long clips), incremental mapping: one thread, a fixed seed.

    Args:
        folder: holds images/; gets models/, and the database.
        camera: COLMAP's name of the camera model, one camera for all images.
        parameters: of the camera where they are known, which are then kept.
        easy: whether weaker SIFT peaks and smaller angles are accepted, for short paths and small images.
        seed: of COLMAP's random numbers.
        linear: whether long clips are matched in a window of ten frames; else with those 1, 2, 4, ... 512 frames away,
            which is COLMAP's own setting (`quadratic_overlap`).
    """
    pycolmap.set_random_seed(seed)
    pycolmap.logging.minloglevel = 2
    database, images = folder / "database.db", folder / "images"
    reader, extraction = pycolmap.ImageReaderOptions(), pycolmap.FeatureExtractionOptions()
    reader.camera_model, reader.camera_params = camera, parameters
    extraction.num_threads = 1
    if easy:
        extraction.sift.peak_threshold = 0.002
    pycolmap.extract_features(
        database, images, [], pycolmap.CameraMode.SINGLE, reader_options=reader, extraction_options=extraction,
        device=_CPU,
    )  # fmt: skip
    _match(database, len(list(images.iterdir())), linear)
    (folder / "models").mkdir()
    options = _mapping_options(bool(parameters), easy, seed)
    pycolmap.incremental_mapping(database, images, folder / "models", options)


def _match(database: Path, frames: int, linear: bool) -> None:
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = 1
    if frames <= MOST_FRAMES_EXHAUSTIVE:
        pycolmap.match_exhaustive(database, options, device=_CPU)
    else:
        pairs = pycolmap.SequentialPairingOptions()
        pairs.quadratic_overlap = not linear
        pycolmap.match_sequential(database, options, pairs, device=_CPU)


def _mapping_options(known_camera: bool, easy: bool, seed: int) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size, options.num_threads, options.random_seed = 3, 1, seed
    if known_camera:
        options.ba_refine_focal_length = options.ba_refine_extra_params = False
        options.mapper.abs_pose_refine_focal_length = options.mapper.abs_pose_refine_extra_params = False
    if easy:
        mapper, triangulation = options.mapper, options.triangulation
        mapper.init_min_tri_angle, mapper.init_min_num_inliers = 4.0, 30
        mapper.abs_pose_min_num_inliers, mapper.init_max_forward_motion = 15, 0.99
        mapper.filter_min_tri_angle = triangulation.min_angle = 0.5
    return options


if __name__ == "__main__":
    find_models(Path(sys.argv[1]), **json.loads(sys.argv[2]))
