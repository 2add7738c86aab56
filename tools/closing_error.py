"""Where a walk ends that comes back to its start: `python tools/closing_error.py RECONSTRUCTION VIDEO`.

Printed for each of the last frames: how far from where the first ones see it the path has it, in percent of the path's
length, and by how many degrees it is rotated (`video_ae.evaluation.peers.closing_error`). Of distorted frames the lens
is not taken away. Needs `pip install -e '.[peers]'`.
"""

import argparse
from pathlib import Path

from video_ae.errors import UserError
from video_ae.evaluation.peers.closing_error import closing_errors
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.videos.open import open_video


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reconstruction", type=Path, help="folder that `video-ae reconstruct` wrote")
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=16, help="frames at the start, and half as many at the end")
    given = parser.parse_args()
    found, reader = read_cameras_json(given.reconstruction / "cameras.json"), open_video(given.video)
    for error in closing_errors(found.cameras, found.indices, reader, given.frames):
        if error is None:
            print("too little of what the first frames saw")
            continue
        length = f"{error.percent:.2f} % of the path's length off"
        print(f"frame {error.frame}: {length}, {error.degrees:.1f} degrees ({error.points} points)")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"closing_error: {error}") from error
