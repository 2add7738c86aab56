#!/bin/sh
# decord 0.6.0 (numpy 2.3.5; files written by PyAV 18.1.0; Python 3.11 to 3.13, x86-64).
#
# decord promises frames by number, and on mp4 with closed groups of pictures it keeps that. Of a transport stream (.ts, as
# cameras and broadcasters write it) with B-frames and closed groups it knows the right number of frames, and any frame
# that is asked for is a whole group of pictures too late, frame 0 too, without an error. In the mp4 with the very same
# frames all are right. The pictures carry their number as their brightness.
#
# Output seen:
#   mp4: 40 frames; asked for 0, 5, 20, 25: got 0, 5, 20, 25
#   ts: 40 frames; asked for 0, 5, 20, 25: got 10, 15, 30, 35
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 decord==0.6.0 numpy==2.3.5

cd "$folder"
cat > write.py <<'PYTHON'
import av
import numpy as np

OPTIONS = {"x264-params": "bframes=2:keyint=10:scenecut=0:b-adapt=0:threads=1:open-gop=0"}
for path in ("video.mp4", "video.ts"):
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=24, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 + 5 * number, np.uint8), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
PYTHON
cat > read.py <<'PYTHON'
import decord

WANTED = [0, 5, 20, 25]
for path in ("video.mp4", "video.ts"):
    reader = decord.VideoReader(path, num_threads=1)
    got = [round((float(frame.mean()) - 30) / 5) for frame in reader.get_batch(WANTED).asnumpy()]
    wanted, found = (", ".join(map(str, numbers)) for numbers in (WANTED, got))
    print(f"{path.removeprefix('video.')}: {len(reader)} frames; asked for {wanted}: got {found}")
PYTHON
"$folder/venv/bin/python" write.py
"$folder/venv/bin/python" read.py > seen.txt
cat seen.txt
diff seen.txt - <<'SEEN'
mp4: 40 frames; asked for 0, 5, 20, 25: got 0, 5, 20, 25
ts: 40 frames; asked for 0, 5, 20, 25: got 10, 15, 30, 35
SEEN
echo "as described"
