#!/bin/sh
# kornia 0.9.0 with torch 2.13.0 (0.8.1 the same).
#
# Guess: `kornia.enhance.adjust_contrast` moves values away from a grey, the mean or the middle, as every other library
# does; `adjust_brightness_accumulative` multiplies, or adds.
# In fact both are the same multiplication, so an augmentation by one after the other changes brightness twice and
# contrast never. And `adjust_saturation` keeps the largest channel of each pixel, not its luma: less saturation is also
# brighter. Pillow's and torchvision's are `adjust_contrast_with_mean_subtraction` and
# `adjust_saturation_with_gray_subtraction`. The mean is that of one image: frames of a clip that shall change alike are
# given as one image.
#
# Output seen:
#   adjust_contrast minus adjust_brightness_accumulative: 0.0
#   adjust_contrast: more than 15 of 255 from Pillow
#   adjust_contrast_with_mean_subtraction: as Pillow
#   adjust_saturation: more than 15 of 255 from Pillow
#   adjust_saturation_with_gray_subtraction: as Pillow
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 kornia==0.9.0 numpy==2.4.6 pillow==13.0.0

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import numpy as np
import torch
from kornia import enhance
from PIL import Image, ImageEnhance

pixels = torch.randint(20, 180, (3, 16, 20), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
frame = pixels.float() / 255
difference = enhance.adjust_contrast(frame, 1.2) - enhance.adjust_brightness_accumulative(frame, 1.2)
print("adjust_contrast minus adjust_brightness_accumulative:", difference.abs().max().item())
image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
for name, pillow in (
    ("adjust_contrast", ImageEnhance.Contrast),
    ("adjust_contrast_with_mean_subtraction", ImageEnhance.Contrast),
    ("adjust_saturation", ImageEnhance.Color),
    ("adjust_saturation_with_gray_subtraction", ImageEnhance.Color),
):
    expected = np.array(pillow(image).enhance(1.2)).transpose(2, 0, 1)
    levels = np.abs(getattr(enhance, name)(frame, 1.2).numpy() * 255 - expected).max()
    print(f"{name}: {'as Pillow' if levels < 1.5 else 'more than 15 of 255 from Pillow' if levels > 15 else levels}")
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
adjust_contrast minus adjust_brightness_accumulative: 0.0
adjust_contrast: more than 15 of 255 from Pillow
adjust_contrast_with_mean_subtraction: as Pillow
adjust_saturation: more than 15 of 255 from Pillow
adjust_saturation_with_gray_subtraction: as Pillow
SEEN
echo "as described"
