#!/bin/sh
# pycolmap 4.2.1.
#
# Guess: sequential matching with `overlap = 10` matches each image with the ten that follow it, and
# `quadratic_overlap`, which is on by default, adds some that are farther.
# In fact it replaces them: matched are neighbours 1, 2, 4, ... 2 ** 9 apart, and never those 3, 5, 6, 7, 9 or 10 apart.
# Of a video of 100 frames that leaves 573 pairs, not 945 and more, seven a frame.
#
# So the window is asked for: `SequentialPairingOptions().quadratic_overlap = False`.
#
# Output seen:
#   True 573 pairs, apart: [1, 2, 4, 8, 16, 32, 64]
#   False 945 pairs, apart: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycolmap==4.2.1 numpy==2.4.6

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import tempfile
from pathlib import Path

import pycolmap

pycolmap.logging.minloglevel = 3
with tempfile.TemporaryDirectory() as folder:
    database = pycolmap.Database.open(Path(folder) / "database.db")
    camera = database.write_camera(pycolmap.Camera.create_from_model_name(1, "PINHOLE", 100, 64, 48))
    for number in range(100):
        database.write_image(pycolmap.Image(name=f"{number:03d}.png", camera_id=camera))
    numbers = {image.image_id: int(image.name[:3]) for image in database.read_all_images()}
    for quadratic in (pycolmap.SequentialPairingOptions().quadratic_overlap, False):
        options = pycolmap.SequentialPairingOptions()
        options.overlap, options.quadratic_overlap = 10, quadratic
        pairs = pycolmap.SequentialPairGenerator(options, database).all_pairs()
        print(quadratic, len(pairs), "pairs, apart:", sorted({abs(numbers[a] - numbers[b]) for a, b in pairs}))
    database.close()
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
True 573 pairs, apart: [1, 2, 4, 8, 16, 32, 64]
False 945 pairs, apart: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
SEEN
echo "as described"
