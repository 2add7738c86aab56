"""Where one shot of a video ends and the next one begins."""

from itertools import pairwise

from video_ae.geometry.resize import plan_resizing
from video_ae.preparation.scan import SHOT_WIDTH, ShotDetector
from video_ae.videos.base import VideoReader
from video_ae.videos.load import read_resized_bytes


def find_shots(reader: VideoReader) -> list[range]:
    """The numbers of the frames of each shot; every frame is in exactly one.

    The video is decoded once, in order; two chunks of it are in memory.

    Args:
        reader: of the video.

    Raises:
        UserError: it turns out to be damaged, or PySceneDetect is not installed.
    """
    detector, cuts = ShotDetector(), [0]
    resizing = plan_resizing(reader.image_size, min(SHOT_WIDTH, *reader.image_size))
    for _, chunk in read_resized_bytes(reader, range(len(reader)), resizing):
        cuts += detector.add(chunk)
    return [range(first, end) for first, end in pairwise([*cuts, len(reader)])]
