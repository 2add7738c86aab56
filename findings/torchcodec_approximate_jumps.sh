#!/bin/sh
# torchcodec 0.13.0 with torch 2.13.0 (CPU; FFmpeg's shared libraries from the system; Python 3.11 to 3.13). The file is
# written by PyAV 18.1.0.
#
# `VideoDecoder(..., seek_mode="approximate")` skips the scan of the file, and its documentation says that it works with
# metadata about the rate, so one would think: wrong frames of a variable rate, in whatever order, or an error. Reading one
# frame after another gives each frame rightly, which is how one tries it. After a jump the very same numbers give other
# frames: the time of frame n is taken to be n over the mean rate, and what is shown then is returned under the number n.
# The pictures carry their number as their brightness.
#
# Output seen:
#   exact, one after another: right
#   exact, 20 5 35: 20 5 35
#   approximate, one after another: right
#   approximate, 20 5 35: 8 2 14
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --extra-index-url https://download.pytorch.org/whl/cpu \
    torch==2.13.0+cpu torchcodec==0.13.0 av==18.1.0 numpy==2.3.5

cd "$folder"
cat > write.py <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

with av.open("video.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=24, options={"x264-params": "keyint=10:bframes=2:threads=1"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 24)
    time = 0
    for number in range(40):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 + 5 * number, np.uint8), "rgb24")
        frame.pts, frame.time_base = time, Fraction(1, 24)
        container.mux(stream.encode(frame))
        time += 1 + 7 * number % 4
    container.mux(stream.encode())
PYTHON
cat > read.py <<'PYTHON'
from torchcodec.decoders import VideoDecoder


def number_in(frame):
    return round((frame.float().mean().item() - 30) / 5)


for mode in ("exact", "approximate"):
    decoder = VideoDecoder("video.mp4", seek_mode=mode)
    right = [number_in(decoder[number]) for number in range(len(decoder))] == list(range(40))
    print(f"{mode}, one after another: {'right' if right else 'wrong'}")
    frames = VideoDecoder("video.mp4", seek_mode=mode).get_frames_at([20, 5, 35]).data
    print(f"{mode}, 20 5 35:", *map(number_in, frames))
PYTHON
"$folder/venv/bin/python" write.py
"$folder/venv/bin/python" read.py > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
exact, one after another: right
exact, 20 5 35: 20 5 35
approximate, one after another: right
approximate, 20 5 35: 8 2 14
SEEN
echo "as described"
