"""Learns 3D structure and camera motion from plain, unlabelled video, by reconstruction alone.

Importing the package loads nothing heavy: no torch, no CUDA, no file, no environment variable.
"""

__version__ = "0.1.0"
