"""Helpers of `scripts/render_walkthroughs.py`: map files, camera paths, the game engine, images and clips."""
