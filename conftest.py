"""Modules around an optional package are looked through for doctests only where that package is installed."""

from importlib.util import find_spec

OPTIONAL = {"pycolmap": "video_ae/evaluation/peers/colmap_sfm.py", "cv2": "video_ae/evaluation/peers/odometry.py"}
collect_ignore = [file for package, file in OPTIONAL.items() if find_spec(package) is None]
