#!/bin/sh
# @playcanvas/splat-transform 3.7.0 (npm).
#
# Guess: an `.spz` file is gzip around Niantic's header "NGSP", as all of versions 1 to 3 are, and as readers tell it.
# In fact splat-transform writes version 4 unless it is told `--spz-version 3`: the header stands bare at the start of the
# file, and gzip is gone. gsply 0.4.6 reads it; Spark 2.2.0 says "Invalid gzip header".
#
# So we write version 3, which all three read.
#
# Output seen:
#   starts with NGSP, version 4
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" @playcanvas/splat-transform@3.7.0 > "$folder/npm.txt" 2>&1

python3 - "$folder/one.ply" <<'PYTHON'
import struct
import sys

names = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()
values = [0, 0, 1, 0, 0, 0, 0, 0, 0, 2, -3, -3, -3, 1, 0, 0, 0]
head = "ply\nformat binary_little_endian 1.0\nelement vertex 1\n" + "".join(f"property float {n}\n" for n in names)
with open(sys.argv[1], "wb") as file:
    file.write(f"{head}end_header\n".encode() + struct.pack("<17f", *values))
PYTHON
"$folder/node_modules/.bin/splat-transform" -q -w -g cpu "$folder/one.ply" "$folder/one.spz"
python3 - "$folder/one.spz" > "$folder/seen.txt" <<'PYTHON'
import struct
import sys

content = open(sys.argv[1], "rb").read()
print("starts with", content[:4].decode(), end=", ")
print("version", struct.unpack_from("<I", content, 4)[0])
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
starts with NGSP, version 4
SEEN
echo "as described"
