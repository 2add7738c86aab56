"""Decoded frames cropped, made progressive and of the standard range, and scaled, by FFmpeg's filters."""

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from video_ae.videos.dynamic_range import write_table
from video_ae.videos.presentation import Presentation

# A triangle that spans as many pixels as one of the small image covers, as PyTorch's antialiasing. Without the other
# flags, FFmpeg's fast conversion to RGB is too dark by 2 of 255.
_SCALING = "bilinear+accurate_rnd+full_chroma_int"


class FrameFilter:
    """Converts frames of one stream and one format of pixels.

    Of interlaced frames the first field is kept: a moving camera sees the second one from elsewhere. `estdif` fills in
    the rows between from this frame alone, so that a frame is the same in whatever order frames are read.

    Args:
        frame: of PyAV, like those that it converts.
        time_base: of the stream, in seconds.
        presentation: of the video.
        size: (width, height) to which frames are scaled; None leaves their size.
    """

    def __init__(
        self, frame: Any, time_base: Fraction, presentation: Presentation, size: tuple[int, int] | None
    ) -> None:
        import av

        self._graph = graph = av.filter.Graph()
        self._pushes = 2 if presentation.interlaced else 1  # estdif puts a frame out when the next one comes
        with tempfile.TemporaryDirectory() as folder:
            filters = [
                graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
            ]
            for name, options in _steps(presentation, size, Path(folder)):
                filters.append(graph.add(name, **options))
            graph.link_nodes(*filters, graph.add("buffersink")).configure()  # reads the table

    def __call__(self, frame: Any) -> Any:
        """The frame, converted.

        Args:
            frame: of the stream.
        """
        import av

        for _ in range(self._pushes):
            self._graph.push(frame)
        converted = None
        while True:
            try:
                converted = self._graph.pull()
            except av.error.BlockingIOError:  # nothing more
                return converted


def _steps(shown: Presentation, size: tuple[int, int] | None, folder: Path) -> list[tuple[str, dict[str, str]]]:
    """FFmpeg's filters and their options."""
    steps: list[tuple[str, dict[str, str]]] = []
    if shown.interlaced:
        steps += [("estdif", {"mode": "frame", "deint": "interlaced"})]
    if shown.crop is not None:
        (width, height), left, top = shown.cropped_size, shown.crop.left, shown.crop.top
        steps += [("crop", {"out_w": str(width), "out_h": str(height), "x": str(left), "y": str(top), "exact": "1"})]
    scaling = {} if size is None else {"w": str(size[0]), "h": str(size[1]), "flags": _SCALING, "threads": "1"}
    if shown.transfer is not None:
        table = write_table(folder, shown.transfer)
        steps += [
            ("scale", {"in_color_matrix": "bt2020", **scaling}),
            ("format", {"pix_fmts": "gbrp12le"}),
            ("lut3d", {"file": str(table), "interp": "tetrahedral"}),
        ]
    elif size is not None:
        steps += [("scale", scaling)]
    rgb = shown.transfer is not None or size is not None
    return [*steps, ("format", {"pix_fmts": "rgb24"})] if rgb else steps
