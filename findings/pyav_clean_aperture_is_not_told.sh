#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1.2 inside).
#
# Guess: FFmpeg crops what a container asks for since 7.1 (`clap` in QuickTime, `PixelCrop` in Matroska), so frames of
# such a file come out of PyAV cropped, or the stream at least says by how much.
# In fact the program `ffmpeg` does it (its option `-apply_cropping`), and PyAV passes nothing of it on: frames have their
# coded size, and neither the stream, nor its codec context, nor the side data of a frame mentions it.
#
# So bars that a player hides are seen by whoever reads with PyAV; only the box itself tells.
#
# Output seen:
#   96x64, asked for 80x48; side data: SEI_UNREGISTERED; attributes with crop or aperture: []
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6

FOLDER="$folder" "$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import os
import struct
from pathlib import Path

import av
import numpy as np

HEADS = {b"stsd": 8, b"avc1": 78}  # bytes before the boxes inside
path = Path(os.environ["FOLDER"]) / "cropped.mp4"


def insert(data, names, box):
    at, changed = 0, b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        inner = data[at + 8 : at + size]
        if names and kind == names[0]:
            head = HEADS.get(kind, 0)
            inner = inner[:head] + (insert(inner[head:], names[1:], box) if names[1:] else inner[head:] + box)
        changed += struct.pack(">I4s", len(inner) + 8, kind) + inner
        at += size
    return changed


with av.open(str(path), "w") as container:
    stream = container.add_stream("libx264", rate=24)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for _ in range(4):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), "rgb24")))
    container.mux(stream.encode())
clap = struct.pack(">I4s8i", 40, b"clap", 80, 1, 48, 1, 0, 1, 0, 1)
place = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
path.write_bytes(insert(path.read_bytes(), place, clap))
with av.open(str(path)) as container:
    stream = container.streams.video[0]
    frame = next(container.decode(stream))
    names = [name for one in (stream, stream.codec_context, frame) for name in dir(one)]
    kinds = ", ".join(one.type.name for one in frame.side_data)
    telling = [name for name in names if "crop" in name or "aperture" in name]
    print(f"{frame.width}x{frame.height}, asked for 80x48; side data: {kinds}; attributes with crop or aperture: {telling}")
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
96x64, asked for 80x48; side data: SEI_UNREGISTERED; attributes with crop or aperture: []
SEEN
echo "as described"
