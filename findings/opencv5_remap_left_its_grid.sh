#!/bin/sh
# opencv-python-headless 5.0.0.93 and 4.12.0.88.
#
# Guess: `cv2.remap` and `cv2.warpAffine` round places to 1/32 of a pixel, as they always have, also for images of
# floats.
# In fact OpenCV 5 interpolates where it is asked to, linear and cubic: along one pixel 4.12 returns 33 values, 5.0 a
# new one for each place. On noise, images of bytes change by up to 4 levels. Numbers that were frozen with OpenCV 4,
# such as frames warped along a flow, do not come out again.
#
# Output seen:
#   4.12.0 linear: 33 values along a pixel, off by up to 1/64 of a step
#   4.12.0 affine: 33 values along a pixel, off by up to 1/64 of a step
#   4.12.0 cubic: 33 values along a pixel
#   5.0.0 linear: 321 values along a pixel, off by up to 0 of a step
#   5.0.0 affine: 321 values along a pixel, off by up to 0 of a step
#   5.0.0 cubic: 321 values along a pixel
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/places.py" <<'PYTHON'
import cv2
import numpy as np

image = np.zeros((9, 40), np.float32)
image[:, 11:] = 1  # from 0 at x = 10 to 1 at x = 11
places = np.linspace(0, 1, 321, dtype=np.float32)
x, y = 10 + places[None], np.full((1, 321), 4, np.float32)
narrow = np.array([[1 / 320, 0, 10], [0, 1, 4]])
found = {
    "linear": cv2.remap(image, x, y, cv2.INTER_LINEAR),
    "affine": cv2.warpAffine(image, narrow, (321, 1), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP),
    "cubic": cv2.remap(image, x, y, cv2.INTER_CUBIC),
}
for name, values in found.items():
    off = np.abs(values - places).max()
    said = f", off by up to {'0' if off < 1e-4 else '1/64' if abs(off - 1 / 64) < 1e-3 else off} of a step"
    count = len(np.unique(values.round(6)))
    print(f"{cv2.__version__} {name}: {count} values along a pixel{said if name != 'cubic' else ''}")
PYTHON
for version in 4.12.0.88 5.0.0.93; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "opencv-python-headless==$version" numpy==2.2.6
    "$folder/$version/bin/python" "$folder/places.py" >> "$folder/seen.txt"
done
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
4.12.0 linear: 33 values along a pixel, off by up to 1/64 of a step
4.12.0 affine: 33 values along a pixel, off by up to 1/64 of a step
4.12.0 cubic: 33 values along a pixel
5.0.0 linear: 321 values along a pixel, off by up to 0 of a step
5.0.0 affine: 321 values along a pixel, off by up to 0 of a step
5.0.0 cubic: 321 values along a pixel
SEEN
echo "as described"
