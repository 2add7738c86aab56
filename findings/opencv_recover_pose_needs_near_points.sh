#!/bin/sh
# opencv-python-headless 5.0.0.93.
#
# Guess: `cv2.recoverPose` finds the pose of exact matches, whatever the scale, since that is free.
# In fact points farther than 50 baselines do not count when it asks which of the four poses has them in front of both
# cameras (`distanceThresh`, which only the overload that triangulates shows). Between neighbouring frames of a video
# all points are often farther: then no pose has any, and one of the four is returned that goes backwards here, and is
# turned by half a circle elsewhere. Only the number of inliers, 0, tells.
#
# So `distanceThresh=1e4` or so is given, with `triangulatedPoints` or an unpacked fifth value.
#
# Output seen:
#   default: 0 of 200 inliers, rotation 0 degrees off, x of the direction -1
#   distanceThresh=1e4: 200 of 200 inliers, rotation 0 degrees off, x of the direction 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import cv2
import numpy as np

random, matrix = np.random.default_rng(0), np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
angle, shift = np.radians(2), np.array([1.0, 0, 0])
rotation = cv2.Rodrigues(np.array([0, angle, 0]))[0]
points = np.c_[random.uniform(-30, 30, (200, 2)), random.uniform(60, 100, 200)]
first, second = (cv2.projectPoints(points, *pose, matrix, None)[0][:, 0]
                 for pose in ((np.zeros(3), np.zeros(3)), (np.array([0, angle, 0]), shift)))
essential = np.cross(np.eye(3), -shift) @ rotation
for name, more in (("default", {}), ("distanceThresh=1e4", {"distanceThresh": 1e4})):
    inliers, found, direction = cv2.recoverPose(essential, first, second, matrix, **more)[:3]
    off = np.degrees(np.arccos(np.clip((np.trace(found @ rotation.T) - 1) / 2, -1, 1)))
    print(f"{name}: {inliers} of 200 inliers, rotation {off:.0f} degrees off, x of the direction {direction[0, 0]:.0f}")
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
default: 0 of 200 inliers, rotation 0 degrees off, x of the direction -1
distanceThresh=1e4: 200 of 200 inliers, rotation 0 degrees off, x of the direction 1
SEEN
echo "as described"
