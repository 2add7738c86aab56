"""Decoded frames made progressive and of the standard range, by FFmpeg's filters."""

import tempfile
from pathlib import Path
from typing import Any

from video_ae.videos.dynamic_range import write_table
from video_ae.videos.presentation import Presentation


class FrameFilter:
    """Converts frames of one stream.

    Of interlaced frames the first field is kept: a moving camera sees the second one from elsewhere. `estdif` fills in
    the rows between from this frame alone, so that a frame is the same in whatever order frames are read.

    Args:
        stream: of PyAV, whose frames it converts.
        presentation: of the video.
    """

    def __init__(self, stream: Any, presentation: Presentation) -> None:
        import av

        self._graph = graph = av.filter.Graph()
        self._pushes = 2 if presentation.interlaced else 1  # estdif puts a frame out when the next one comes
        with tempfile.TemporaryDirectory() as folder:
            filters = [graph.add_buffer(template=stream)]
            if presentation.interlaced:
                filters += [graph.add("estdif", mode="frame", deint="interlaced")]
            if presentation.transfer is not None:
                table = write_table(Path(folder), presentation.transfer)
                filters += [
                    graph.add("scale", in_color_matrix="bt2020"),
                    graph.add("format", pix_fmts="gbrp12le"),
                    graph.add("lut3d", file=str(table), interp="tetrahedral"),
                    graph.add("format", pix_fmts="rgb24"),
                ]
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
