#!/bin/sh
# PyAV 18.1.0 (its own FFmpeg 8; Python 3.11 to 3.13).
#
# A decoder puts frames out in the order in which they are shown, so one would think that `frame.pts` rises, whatever the
# container. H.264 with B-frames in an .avi (a container that stores the place of a packet, and no time) comes out in the
# right order with times that go to and fro: each frame has the time of the packet that held it. Readers that seek to a
# frame by its time, or sort by it, show other frames. The pictures below carry their number as their brightness.
#
# Output seen:
#   brightness rises: True
#   pts rises: False
#   first pts: [1, 4, 3, 5, 2]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.3.5

cd "$folder"
"$folder/venv/bin/python" > seen.txt <<'PYTHON'
import av
import numpy as np

with av.open("video.avi", "w") as container:
    stream = container.add_stream("libx264", rate=24, options={"x264-params": "bframes=3:b-adapt=0:threads=1"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(20):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 + 10 * number, np.uint8), "rgb24")
        frame.pts = number
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
with av.open("video.avi") as container:
    frames = list(container.decode(video=0))
brightness = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
stamps = [frame.pts for frame in frames]
print("brightness rises:", brightness == sorted(brightness))
print("pts rises:", stamps == sorted(stamps))
print("first pts:", stamps[:5])
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
brightness rises: True
pts rises: False
first pts: [1, 4, 3, 5, 2]
SEEN
echo "as described"
