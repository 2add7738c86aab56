"""Modules around an optional package are looked through for doctests only where that package is installed."""

from importlib.util import find_spec

_PEERS = "video_ae/evaluation/peers"
OPTIONAL = {"colmap_process": "pycolmap", "colmap_sfm": "pycolmap", "odometry": "cv2"}
collect_ignore = [f"{_PEERS}/{file}.py" for file, package in OPTIONAL.items() if find_spec(package) is None]
