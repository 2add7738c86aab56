#!/bin/sh
# decord 0.6.0 beside PyAV 18.1.0 (numpy 2.3.5; Python 3.11 to 3.13, x86-64).
#
# A file's first frame need not be shown at 0: copies of a part, and cameras that start their sound first, have a start.
# `get_frame_timestamp` of decord reads the same stream as PyAV, and one would think that both speak of the file's clock.
# decord counts from the first frame, PyAV (and torchcodec, and ffprobe) keep the start. Labels by time that are looked up
# in the one and read by the other are off by it: here half a second.
#
# Output seen:
#   PyAV: 0.500 0.542
#   decord: 0.000 0.042
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 decord==0.6.0 numpy==2.3.5

cd "$folder"
cat > write.py <<'PYTHON'
import av
import numpy as np

with av.open("video.mp4", "w") as container:
    stream = container.add_stream("libx264", rate=24, options={"x264-params": "bframes=0:threads=1"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(10):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "rgb24")
        frame.pts = 12 + number
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
with av.open("video.mp4") as container:
    times = [frame.time for frame in container.decode(video=0)]
print(f"PyAV: {times[0]:.3f} {times[1]:.3f}")
PYTHON
cat > read.py <<'PYTHON'
import decord

reader = decord.VideoReader("video.mp4", num_threads=1)
print("decord:", *(f"{reader.get_frame_timestamp(number)[0]:.3f}" for number in (0, 1)))
PYTHON
"$folder/venv/bin/python" write.py > seen.txt
"$folder/venv/bin/python" read.py >> seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
PyAV: 0.500 0.542
decord: 0.000 0.042
SEEN
echo "as described"
