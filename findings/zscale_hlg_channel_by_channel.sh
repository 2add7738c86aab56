#!/bin/sh
# FFmpeg 7.0.2 as imageio-ffmpeg 0.6.0 brings it (zimg's filter zscale; Python 3.11 to 3.13, x86-64 Linux).
#
# The recipe for HDR video that everybody passes on begins with `zscale=transfer=linear`. ITU-R BT.2100 makes light of HLG
# by raising the *luminance* of the scene to the system gamma of 1.2, so that colours keep their hue. zscale, by default,
# raises red, green and blue one by one instead (`agamma=true`, "allow approximate gamma"), which saturates: a red of the
# code values (0.75, 0.3, 0.3) gets 24 % too much red and 20 % too little green and blue. `agamma=false`, which looks like
# the way out, errs to the other side (11 % too little red). Whoever needs the standard writes it out, in a table of colours.
#
# Output seen:
#   zscale: 0.203 0.015 0.015
#   zscale with agamma=false: 0.147 0.021 0.021
#   BT.2100: 0.164 0.019 0.019
#   BT.2100's gamma on each channel: 0.203 0.015 0.015
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imageio-ffmpeg==0.6.0

cd "$folder"
"$folder/venv/bin/python" > seen.txt <<'PYTHON'
import struct
import subprocess
from math import exp

import imageio_ffmpeg

CODE, SIDE = (0.75, 0.3, 0.3), 16
WEIGHTS = (0.2627, 0.6780, 0.0593)  # of BT.2020


def luminance(color):
    return sum(weight * value for weight, value in zip(WEIGHTS, color))


def scene_light(code):
    return code**2 / 3 if code <= 0.5 else (exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12


def zscale(options):
    luma = luminance(CODE)
    planes = 219 * luma + 16, 112 * (CODE[2] - luma) / 0.9407 + 128, 112 * (CODE[0] - luma) / 0.7373 + 128
    pixels = b"".join(struct.pack("<H", round(256 * value)) * SIDE**2 for value in planes)
    tags = "setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc:range=tv"
    filters = f"{tags},zscale=transfer=linear:matrix=gbr:npl=1000{options},format=gbrpf32le"
    command = f"-v error -f rawvideo -pix_fmt yuv444p16le -s {SIDE}x{SIDE} -i - -vf {filters} -f rawvideo -"
    run = [imageio_ffmpeg.get_ffmpeg_exe(), *command.split()]
    planes = subprocess.run(run, input=pixels, capture_output=True, check=True).stdout
    green, blue, red = (struct.unpack_from("<f", planes, 4 * SIDE**2 * plane)[0] for plane in range(3))
    return red, green, blue


def show(name, color):
    print(f"{name}:", *(f"{value:.3f}" for value in color))


light = [scene_light(code) for code in CODE]
show("zscale", zscale(""))
show("zscale with agamma=false", zscale(":agamma=false"))
show("BT.2100", [luminance(light) ** 0.2 * value for value in light])
show("BT.2100's gamma on each channel", [value**1.2 for value in light])
PYTHON
cat seen.txt
diff seen.txt - <<'SEEN'
zscale: 0.203 0.015 0.015
zscale with agamma=false: 0.147 0.021 0.021
BT.2100: 0.164 0.019 0.019
BT.2100's gamma on each channel: 0.203 0.015 0.015
SEEN
echo "as described"
