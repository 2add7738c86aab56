"""A reconstruction as a data set of nerfstudio: images, cameras, and points to start from.

python examples/05_into_nerfstudio.py walk data
ns-train splatfacto --data data
"""

import sys

import video_ae
from video_ae.formats.interop import to_nerfstudio


def main(folder: str, data: str) -> None:
    """Writes the data set.

    Args:
        folder: that examples/01_reconstruct.py wrote; the video must still be where it was.
        data: folder of the data set.
    """
    walk = video_ae.Reconstruction.load(folder)
    for path in walk.export(data, ["nerfstudio"]):
        print(f"wrote {path}")
    # The same cameras as plain values, for programs that write no files:
    content = to_nerfstudio(walk.cameras, *walk.source.image_size)
    print(f"{len(content['frames'])} frames, focal length {content['fl_x']:.1f} pixels")


if __name__ == "__main__":
    main(*sys.argv[1:3])
