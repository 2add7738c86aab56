#!/bin/sh
# torchmetrics 1.9.0 with torch 2.13.0.
#
# Guess: SSIM with the usual window (11 taps, sigma 1.5) is the mean where the window lies inside of the image, as in
# the paper's own code and in scikit-image; `kernel_size=7` takes a smaller window.
# In fact images are reflected at their border and all of it counts, and with the Gaussian kernel, which is the default,
# `kernel_size` changes nothing: the window follows from sigma. An image whose outermost row alone is wrong loses 0.015,
# where scikit-image still says 1. (`return_contrast_sensitivity` is cut at the border, so that within multi-scale SSIM
# one factor counts it and the others do not.)
#
# So SSIM of two papers can be compared only if both say whose it is.
#
# Output seen:
#   scikit-image: 1.0000
#   torchmetrics, kernel_size=11: 0.9846
#   torchmetrics, kernel_size=3: 0.9846
#   torchmetrics, mean without 5 rows and columns: 1.0000
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6 scikit-image==0.26.0

"$folder/venv/bin/python" > "$folder/seen.txt" 2> "$folder/log.txt" <<'PYTHON' || { cat "$folder/log.txt"; exit 1; }
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
other = image.clone()
other[..., 0, :] = 0
settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
print(f"scikit-image: {structural_similarity(image[0, 0].numpy(), other[0, 0].numpy(), **settings):.4f}")
for size in (11, 3):
    print(f"torchmetrics, kernel_size={size}: {ssim(image, other, data_range=1.0, kernel_size=size):.4f}")
full = ssim(image, other, data_range=1.0, return_full_image=True)[1]
print(f"torchmetrics, mean without 5 rows and columns: {full[..., 5:-5, 5:-5].mean():.4f}")
PYTHON
cat "$folder/seen.txt"
diff "$folder/seen.txt" - <<'SEEN'
scikit-image: 1.0000
torchmetrics, kernel_size=11: 0.9846
torchmetrics, kernel_size=3: 0.9846
torchmetrics, mean without 5 rows and columns: 1.0000
SEEN
echo "as described"
