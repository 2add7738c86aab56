"""A video -> cameras, points, new views, and a folder that `video-ae view` opens.

python examples/01_reconstruct.py walk.mp4 walk
"""

import sys
from typing import Any

import video_ae


def main(video: str, folder: str, **options: Any) -> None:
    """Reconstructs a video.

    Args:
        video: a file or a folder of images.
        folder: where the results are written.
        **options: of `video_ae.reconstruct`, such as frames=50, refine=0, fov_degrees=60.
    """
    walk = video_ae.reconstruct(video, **options)
    print(walk)
    print("positions of the cameras:", walk.cameras.centers, sep="\n")
    print(f"{len(walk.points())} points; {' '.join(walk.notes)}")
    walk.save(folder)


if __name__ == "__main__":
    main(*sys.argv[1:3])
