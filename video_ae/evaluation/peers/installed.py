"""The peers that can run here: other people's methods, on the same frames, scored by the same code."""

from importlib.util import find_spec

from video_ae.evaluation.protocols.base import Baseline, PoseEstimator


def installed_peers(seed: int = 0) -> dict[str, Baseline[PoseEstimator]]:
    """COLMAP with its own settings and with easier ones, if pycolmap is installed; none otherwise.

    To be added to the baselines of `evaluate_poses`.
    """
    if find_spec("pycolmap") is None:
        return {}
    from video_ae.evaluation.peers.colmap import Colmap

    return {"COLMAP": Baseline(Colmap(seed=seed)), "COLMAP, easy": Baseline(Colmap(easy=True, seed=seed))}
