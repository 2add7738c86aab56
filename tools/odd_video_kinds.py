"""The codecs, containers and properties of `odd_videos.py`, and how `ffmpeg` writes a file of them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, COUNT, RATE = 96, 64, 24, 24
H26X = ("mp4", "mov", "mkv", "ts", "m2ts", "flv", "avi")

# codec -> (arguments of the encoder, containers)
CODECS: dict[str, tuple[str, Sequence[str]]] = {
    "h264": ("-c:v libx264 -qp 8 -g 12", H26X),
    "hevc": ("-c:v libx265 -x265-params qp=8:keyint=12:log-level=none", ("mp4", "mov", "mkv", "ts", "m2ts")),
    "av1": ("-c:v libsvtav1 -qp 12 -g 12 -svtav1-params preset=10", ("mp4", "mkv", "webm")),
    "vp9": ("-c:v libvpx-vp9 -crf 8 -b:v 0 -g 12 -deadline realtime", ("webm", "mkv", "mp4")),
    "vp8": ("-c:v libvpx -crf 4 -b:v 4M -g 12 -deadline realtime", ("webm", "mkv")),
    "mpeg2": ("-c:v mpeg2video -q:v 2 -g 12", ("mpg", "vob", "ts", "m2ts", "mkv", "mxf")),
    "mpeg4": ("-c:v mpeg4 -q:v 2 -g 12", ("avi", "mp4", "mkv", "3gp")),
    "mjpeg": ("-c:v mjpeg -q:v 2", ("avi", "mov", "mkv")),
    "prores": ("-c:v prores_ks", ("mov", "mkv")),
    "ffv1": ("-c:v ffv1", ("mkv", "avi")),
    "theora": ("-c:v libtheora -q:v 10 -g 12", ("ogv", "mkv")),
    "wmv2": ("-c:v wmv2 -q:v 2 -g 12", ("wmv", "avi")),
}
YUV420 = {"h264", "hevc", "av1", "vp9", "vp8", "mpeg2", "mpeg4", "theora", "wmv2"}
TAGGED = ("h264", "hevc")  # of which x264 and x265 write what the frames say
# `agamma=false` is nearer to BT.2100 than the default, which bends red, green and blue one by one.
TONE = (  # FFmpeg's own filters for what video_ae/videos/dynamic_range.py does: BT.2100, white at 203, compressed
    "zscale=transfer=linear:npl=203:primaries=bt709:agamma=false",
    "format=gbrpf32le",
    "tonemap=mobius:param=0.6:peak=4.926:desat=0",
    "zscale=transfer=iec61966-2-1:matrix=bt709:range=pc",
    "format=gbrp",
)


@dataclass(frozen=True)
class Property:
    """What is odd about a file.

    Args:
        arguments: of ffmpeg's encoder.
        filters: before encoding.
        codecs: short names that can have it; all by default.
        containers: suffixes that can say it; all by default.
        then: arguments of a second ffmpeg that copies the stream.
        before: arguments before the second ffmpeg's input.
        matrix: a, b, c, d of the display matrix that is written while the stream is copied.
        shown_by: filters that bring it to plain pixels, where `ffmpeg` alone does not.
        mapped: what is done with it, for the table.
    """

    arguments: str = ""
    filters: str = ""
    codecs: Sequence[str] = ()
    containers: Sequence[str] = ()
    then: str = ""
    before: str = ""
    matrix: tuple[float, ...] = ()
    shown_by: Sequence[str] = ()
    mapped: str = "read"

    @property
    def shown_size_is_coded(self) -> bool:
        """Whether pixels are square."""
        return "setsar" not in self.filters


def _turn(a: float, b: float, c: float, d: float) -> Property:
    return Property(codecs=("h264", "hevc", "mpeg4"), containers=("mp4", "mov"), matrix=(a, b, c, d), mapped="obeyed")


def _interlaced(first: str, field: str, top: str) -> Property:
    arguments = f"-flags +ildct+ilme -x264-params {field}=1 -top {top}"
    shown = {"shown_by": ("estdif=mode=frame",), "mapped": "deinterlaced, noted"}
    return Property(arguments, f"tinterlace=interleave_{first},setfield={field}", ("h264", "mpeg2"), **shown)


def _tag(matrix: str, scaled: str, transfer: str, primaries: str, full: str = "tv") -> tuple[str, str]:
    tags = f"-colorspace {matrix} -color_trc {transfer} -color_primaries {primaries} -color_range {full}"
    return tags, f"scale=out_color_matrix={scaled}:out_range={full}"


def _colors(*tags: str, codecs: Sequence[str] = TAGGED, containers: Sequence[str] = ()) -> Property:
    arguments, filters = _tag(*tags)
    return Property(arguments, filters, codecs, containers, mapped="obeyed")


def _high_range(transfer: str) -> Property:
    tags = f"-colorspace bt2020nc -color_trc {transfer} -color_primaries bt2020 -color_range tv -pix_fmt yuv420p10le"
    # White of the standard range is put at 203 cd/m2.
    filters = (
        "format=gbrp,setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=gbr:range=pc,"
        "zscale=t=linear:npl=203,format=gbrpf32le,"
        f"zscale=p=bt2020:t={transfer}:m=bt2020nc:r=tv:npl=203:agamma=false,format=yuv420p10le"
    )
    return Property(tags, filters, ("hevc",), ("mp4", "mov", "mkv", "ts"), shown_by=TONE, mapped="mapped to SDR, noted")


_UNEVEN = "-vsync vfr -enc_time_base 1/1000"
_SOME_FRAMES = "select='not(mod(n\\,3)*gt(mod(n\\,5)\\,2))'"
PROPERTIES: dict[str, Property] = {
    "plain": Property(),
    "B-frames": Property("-bf 2", codecs=("h264", "hevc", "mpeg2", "mpeg4")),
    "open group": Property("-x264-params open-gop=1:bframes=3:b-adapt=0:scenecut=0", codecs=("h264",)),
    "one keyframe": Property("-g 999", codecs=("h264", "mpeg2", "mpeg4", "vp9")),
    "turned 90": _turn(0, 1, -1, 0),
    "turned 180": _turn(-1, 0, 0, -1),
    "turned 270": _turn(0, -1, 1, 0),
    "mirrored": _turn(-1, 0, 0, 1),
    "upside down": _turn(1, 0, 0, -1),
    "mirrored and turned 90": _turn(0, 1, 1, 0),
    "mirrored and turned 270": _turn(0, -1, -1, 0),
    "turned 30": _turn(0.866, 0.5, -0.5, 0.866),
    "pixels 4:3": Property(filters="setsar=4/3", mapped="resampled, noted"),
    "pixels 8:9": Property(filters="setsar=8/9", codecs=("h264", "mpeg2", "vp9"), mapped="resampled, noted"),
    "pixels 64:45 turned": replace(_turn(0, 1, -1, 0), filters="setsar=64/45", mapped="resampled, noted"),
    "interlaced, top first": _interlaced("top", "tff", "1"),
    "interlaced, bottom first": _interlaced("bottom", "bff", "0"),
    "variable rate": Property(_UNEVEN, _SOME_FRAMES, containers=("mp4", "mov", "mkv", "webm")),
    "BT.601": _colors("smpte170m", "bt601", "smpte170m", "smpte170m"),
    "BT.709": _colors("bt709", "bt709", "bt709", "bt709"),
    "BT.2020, standard range": _colors("bt2020nc", "bt2020", "bt2020-10", "bt2020"),
    "full range": _colors("bt709", "bt709", "bt709", "bt709", "pc"),
    "full range of JPEG": Property("-pix_fmt yuvj420p", codecs=("mjpeg",)),
    "HLG": _high_range("arib-std-b67"),
    "PQ": _high_range("smpte2084"),
    "10 bits": Property("-pix_fmt yuv420p10le", codecs=("h264", "hevc", "av1")),
    "4:2:2": Property("-pix_fmt yuv422p", codecs=("h264", "mpeg2", "ffv1", "mjpeg")),
    "4:4:4": Property("-pix_fmt yuv444p", codecs=("h264", "vp9", "ffv1")),
    "grey": Property("-pix_fmt gray", codecs=("h264", "ffv1")),
    "RGB": Property("-pix_fmt bgr0", codecs=("ffv1",)),
    "transparent": Property("-pix_fmt yuva420p -auto-alt-ref 0", codecs=("vp8", "vp9"), containers=("webm",)),
    "late start": Property(then="-output_ts_offset 5", containers=("mp4", "mkv", "ts", "mov", "webm")),
    "trimmed copy": Property("-bf 2", codecs=("h264", "hevc", "mpeg4"), containers=("mp4", "mov"), before="-ss 0.3"),
    "fragmented": Property(codecs=("h264", "hevc", "av1"), containers=("mp4",), then="-movflags frag_keyframe"),
    "odd size": Property("-pix_fmt yuv444p", "scale=95:63", ("h264", "vp9", "ffv1")),
    "tiny": Property(filters="scale=16:16", codecs=("h264", "mpeg4", "mjpeg", "vp8")),
    "both eyes": Property("-x264-params frame-packing=3", codecs=("h264",)),
    "cover image and sound": Property(then="COVER", codecs=("h264",), containers=("mp4", "mkv")),
}  # fmt: skip


def containers_of(prop: Property, codec: str) -> list[str]:
    """Suffixes of the containers that hold a codec and can say a property.

    Args:
        prop: the property.
        codec: short name.
    """
    return [name for name in CODECS[codec][1] if not prop.containers or name in prop.containers]


def scene(seed: int, count: int = COUNT) -> np.ndarray:
    """[frame, height, width, 3] bytes: smooth colours and three saturated patches that a camera moves over.

    Args:
        seed: of the colours.
        count: of frames.
    """
    coarse = np.random.default_rng(seed).uniform(30, 225, (3, 8, 3 * 8, 3)).mean(0)
    rows, columns = np.linspace(0, 7, HEIGHT), np.linspace(0, 23, 3 * WIDTH)
    top, left = np.minimum(rows.astype(int), 6), np.minimum(columns.astype(int), 22)
    down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
    upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    wide = upper * (1 - down) + lower * down
    for number, color in enumerate([(220, 40, 40), (40, 200, 60), (50, 60, 220)]):
        for start in range(30 * number, 3 * WIDTH, 100):
            wide[8 + 16 * number : 20 + 16 * number, start : start + 20] = color
    return np.stack([wide[:, 4 * n : 4 * n + WIDTH] for n in range(count)]).round().astype(np.uint8)


def write_odd_video(path: Path, prop: Property, codec: str, seed: int) -> None:
    """Writes one file.

    Args:
        path: whose suffix is the container.
        prop: its property.
        codec: short name.
        seed: of the scene.
    """
    encoder, _ = CODECS[codec]
    pixels = "" if "-pix_fmt" in prop.arguments + encoder or codec not in YUV420 else "-pix_fmt yuv420p"
    filters = ["-vf", prop.filters] if prop.filters else []
    source = f"-f rawvideo -pix_fmt rgb24 -s {WIDTH}x{HEIGHT} -r {RATE} -i -"
    encoded = path if not (prop.then or prop.before or prop.matrix) else path.with_name(f"before-{path.name}")
    arguments = [*source.split(), *filters, *f"{encoder} {pixels} {prop.arguments}".split()]
    _ffmpeg([*arguments, *_format(encoded)], scene(seed).tobytes())
    if prop.then == "COVER":
        sound = ["-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "color=red:s=32x32:r=25:d=0.04"]
        maps = [
            "-map",
            "2",
            "-map",
            "1",
            "-map",
            "0",
            "-c:v:1",
            "copy",
            "-c:v:0",
            "mjpeg",
            "-disposition:v:0",
            "attached_pic",
        ]
        _ffmpeg(["-i", str(encoded), *sound, *maps, *_format(path)])
    elif prop.matrix:
        _copy_with_matrix(encoded, path, prop.matrix)
    elif prop.then or prop.before:
        _ffmpeg([*prop.before.split(), "-i", str(encoded), "-c", "copy", *prop.then.split(), *_format(path)])
    if encoded != path:
        encoded.unlink()


def _copy_with_matrix(source: Path, path: Path, matrix: tuple[float, ...]) -> None:
    a, b, c, d = (round(value * 65536) for value in matrix)
    with av.open(str(source)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        copy.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for packet in reader.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                writer.mux(packet)


def _format(path: Path) -> list[str]:
    named = {".vob": ["-f", "vob"], ".m2ts": ["-f", "mpegts", "-mpegts_m2ts_mode", "1"]}
    return [*named.get(path.suffix, []), str(path)]


def _ffmpeg(arguments: list[str], stdin: bytes | None = None) -> None:
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(arguments)}: {done.stderr.decode()[-500:]}")
