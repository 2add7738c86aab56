#!/bin/sh
# opencv-python-headless 5.0.0.93.
#
# Guess: the centre of a smooth round blob is found to some hundredths of a pixel, in coordinates where the middle of
# the first pixel is (0, 0), as everywhere in OpenCV.
# In fact SIFT's keypoints lie 0.23 to 0.28 pixels to the right and below, since the image is doubled at first and the
# shift of that is not taken back. `enable_precise_upscale`, off by default, does. Matches between SIFT keypoints hide
# it; a principal point, another detector or a rendered point does not.
#
# Output seen:
#   enable_precise_upscale=False: 0.25 pixels to the right and below, within 0.03
#   enable_precise_upscale=True: 0.00 pixels to the right and below, within 0.03
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import cv2
import numpy as np

y, x = np.mgrid[:120, :160].astype(float)
for precise in (False, True):
    sift, offsets = cv2.SIFT.create(enable_precise_upscale=precise), []
    for centre in ((80, 60), (70.3, 55.6), (81.5, 64.25), (90.75, 50.1)):
        blob = 40 + 180 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 4.0**2))
        found = [np.subtract(point.pt, centre) for point in sift.detect(blob.round().astype(np.uint8), None)]
        offsets.append(min(found, key=np.linalg.norm))
    right, down = np.mean(offsets, 0)
    near = "0.25" if abs(right - 0.25) < 0.03 and abs(down - 0.25) < 0.03 else "0.00"
    assert abs(right - float(near)) < 0.03 and abs(down - float(near)) < 0.03, (right, down)
    print(f"enable_precise_upscale={precise}: {near} pixels to the right and below, within 0.03")
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
enable_precise_upscale=False: 0.25 pixels to the right and below, within 0.03
enable_precise_upscale=True: 0.00 pixels to the right and below, within 0.03
SEEN
echo "as described"
