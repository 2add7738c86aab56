"""The command line `video-ae`, one file per group of commands: parsing only."""

from video_ae.cli.main import build_parser, main

__all__ = ["build_parser", "main"]
