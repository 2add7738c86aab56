"""Folders of scaled copies, as the scripts of MipNeRF-360, nerfstudio and 3D Gaussian Splatting write them."""

SCALED_FOLDERS = ("images_2", "images_4", "images_8")  # of half, a quarter, an eighth of the size, beside `images`
