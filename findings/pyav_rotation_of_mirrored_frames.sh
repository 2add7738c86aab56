#!/bin/sh
# PyAV 18.1.0 (its own FFmpeg 8; Python 3.11 to 3.13).
#
# `VideoFrame.rotation` is what readers of phone videos turn frames by. A display matrix can also mirror. One would think
# that a frame that is only mirrored has the rotation 0, or at least that "left and right exchanged" and "upside down" are
# told apart from a half turn. They are not: exchanging left and right gives -180, as a half turn does, exchanging top and
# bottom gives 0, as no matrix does. (The angle is taken from one column of the matrix, as FFmpeg's
# av_display_rotation_get says it is.) Whoever turns by it shows a selfie upside down. The matrix itself is in
# `frame.side_data`; its determinant says whether it mirrors.
#
# Output seen:
#   as it is: rotation 0
#   half turn: rotation -180
#   left and right exchanged: rotation -180
#   top and bottom exchanged: rotation 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.3.5

cd "$folder"
"$folder/venv/bin/python" > seen.txt <<'PYTHON'
import av
import numpy as np

KINDS = {
    "as it is": (1, 0, 0, 1),
    "half turn": (-1, 0, 0, -1),
    "left and right exchanged": (-1, 0, 0, 1),
    "top and bottom exchanged": (1, 0, 0, -1),
}
for name, (a, b, c, d) in KINDS.items():
    with av.open("video.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_matrix([a << 16, b, 0, c, d << 16, 0, 0, 0, 1 << 30])
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode())
    with av.open("video.mp4") as container:
        print(f"{name}: rotation {next(container.decode(video=0)).rotation}")
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
as it is: rotation 0
half turn: rotation -180
left and right exchanged: rotation -180
top and bottom exchanged: rotation 0
SEEN
echo "as described"
