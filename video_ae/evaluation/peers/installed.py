"""The peers that can run here: other people's methods, on the same frames, scored by the same code."""

from importlib.util import find_spec

from video_ae.evaluation.protocols.base import PoseEstimator

PACKAGES = {"pycolmap": "COLMAP", "cv2": "two-view odometry"}
HOW_TO_GET_THEM = "pip install 'video-ae[peers]'"


def installed_peers(seed: int = 0) -> dict[str, PoseEstimator]:
    """COLMAP with its own settings and with easier ones, if pycolmap is installed; two-view odometry, if OpenCV is.

    They are methods for `run_pose_protocol`.

    Args:
        seed: of their random numbers.
    """
    peers: dict[str, PoseEstimator] = {}
    if find_spec("pycolmap") is not None:
        from video_ae.evaluation.peers.colmap_sfm import Colmap

        peers |= {"COLMAP": Colmap(seed=seed), "COLMAP, easy": Colmap(easy=True, seed=seed)}
    if find_spec("cv2") is not None:
        from video_ae.evaluation.peers.odometry import TwoViewOdometry

        peers["two-view odometry"] = TwoViewOdometry(seed)
    return peers


def installed_colmap(seed: int = 0) -> dict[str, PoseEstimator]:
    """COLMAP with its own camera model and with OPENCV's, if pycolmap is installed.

    They are methods for `run_hard_protocol`.

    Args:
        seed: of its random numbers.
    """
    if find_spec("pycolmap") is None:
        return {}
    from video_ae.evaluation.peers.colmap_sfm import Colmap

    return {f"COLMAP, {model}": Colmap(model, seed=seed) for model in ("SIMPLE_RADIAL", "OPENCV")}


def missing_peers() -> list[str]:
    """A sentence for each peer that cannot run here."""
    return [
        f"{name} is left out, because {package} is not installed ({HOW_TO_GET_THEM})."
        for package, name in PACKAGES.items()
        if find_spec(package) is None
    ]
