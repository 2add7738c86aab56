"""Many small frames in few large files, in LitData's chunk format, so that `litdata.StreamingDataset` reads them too.

A shard is: number of items (uint32), where each begins and the last one ends (uint32 each), the items one after the
other. An item is one frame: the sizes of its three leaves (uint32 each), a JPEG file, the frame's number in its video
(int64) and its time in seconds (float64, NaN where the video has none); all little-endian. `index.json` lists the
shards. Source of the format: Lightning AI, LitData, `streaming/writer.py`, `streaming/item_loader.py`.
"""

import io
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from video_ae.formats.atomic import write_bytes_atomically, write_text_atomically

LEAF_SIZES = struct.Struct("<III")
NUMBER_AND_TIME = struct.Struct("<qd")
SHARD_BYTES = 64 * 2**20
JPEG_QUALITY = 92
_PIXELS_A_BYTE = 1000  # the most that is believed: of an even surface a JPEG file has about 85 to a byte
LEAF: dict[str, object] = {"type": None, "context": None, "children_spec": []}
# How PyTorch (torch.utils._pytree) spells a tuple of three leaves.
TREE = json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": [LEAF] * 3}])


@dataclass(frozen=True)
class StoredFrame:
    """One frame as it is stored in a shard.

    Args:
        jpeg: a JPEG file.
        number: of the frame in its video.
        time: seconds from the video's start, or NaN.
    """

    jpeg: bytes
    number: int
    time: float

    def to_bytes(self) -> bytes:
        """The item of a shard."""
        sizes = LEAF_SIZES.pack(len(self.jpeg), 8, 8)
        return sizes + self.jpeg + NUMBER_AND_TIME.pack(self.number, self.time)

    @classmethod
    def from_bytes(cls, item: bytes) -> "StoredFrame":
        """The frame of an item.

        Args:
            item: that `to_bytes` made.

        Raises:
            ValueError, struct.error: when the bytes are no such item.
        """
        size, *rest = LEAF_SIZES.unpack_from(item)
        if rest != [8, 8] or len(item) != LEAF_SIZES.size + size + NUMBER_AND_TIME.size:
            raise ValueError("this is not a frame of a shard")
        number, time = NUMBER_AND_TIME.unpack_from(item, LEAF_SIZES.size + size)
        return cls(item[LEAF_SIZES.size : LEAF_SIZES.size + size], number, time)


class ShardWriter:
    """Writes shards `chunk-0-N.bin` into a folder; `finish` writes the last one and the index.

    Args:
        folder: for the shards.
        shard_bytes: about the size of one.
    """

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes
        self._items: list[bytes] = []
        self._size = 0
        self._chunks: list[dict[str, Any]] = []

    def add(self, frames: Iterable[StoredFrame]) -> tuple[int, int]:
        """Appends frames that belong together, into one shard; returns (shard, number of the first item in it).

        Args:
            frames: of one segment.
        """
        items = [frame.to_bytes() for frame in frames]
        size = sum(map(len, items))
        if self._items and self._size + size > self._shard_bytes:
            self._flush()
        first = len(self._items)
        self._items += items
        self._size += size
        return len(self._chunks), first

    def finish(self) -> None:
        """Writes the last shard and the index, once something was added."""
        assert self._items, "shards need at least one frame"
        self._flush()
        config = {
            "chunk_bytes": self._shard_bytes, "chunk_size": None, "compression": None, "encryption": None,
            "data_format": ["bytes", "int", "float"], "data_spec": TREE, "item_loader": "PyTreeLoader",
        }  # fmt: skip
        text = json.dumps({"chunks": self._chunks, "config": config}, sort_keys=True)
        write_text_atomically(self._folder / "index.json", text)

    def _flush(self) -> None:
        header = 4 * (len(self._items) + 2)
        ends = header + np.cumsum([0, *map(len, self._items)])
        assert ends[-1] < 2**32, "a shard counts its bytes in 32 bits"
        head = np.array([len(self._items), *ends], "<u4").tobytes()
        name = f"chunk-0-{len(self._chunks)}.bin"
        write_bytes_atomically(self._folder / name, b"".join([head, *self._items]))
        chunk = {"chunk_bytes": self._size, "chunk_size": len(self._items), "dim": None, "filename": name}
        self._chunks.append(chunk)
        self._items, self._size = [], 0


def encode_jpeg(frame: UInt8[Tensor, "3 height width"]) -> bytes:
    """A JPEG file without chroma subsampling, which would blur a small frame too much.

    By OpenCV, which comes with PySceneDetect and takes two thirds of Pillow's time for the same file.

    Args:
        frame: RGB in 0 .. 255.
    """
    import cv2

    bgr = cv2.cvtColor(frame.permute(1, 2, 0).contiguous().numpy(), cv2.COLOR_RGB2BGR)
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    return cv2.imencode(".jpg", bgr, settings)[1].tobytes()


def decode_jpeg(jpeg: bytes) -> np.ndarray:
    """RGB in 0 .. 255, [height, width, 3].

    Args:
        jpeg: a JPEG file.

    Raises:
        OSError: when it is damaged.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(jpeg))
    except Image.DecompressionBombError as error:
        raise OSError(*error.args) from error
    with image:
        if image.width * image.height > _PIXELS_A_BYTE * len(jpeg):
            raise OSError(f"{len(jpeg)} bytes say that they are an image of {image.width}x{image.height}")
        return np.asarray(image.convert("RGB") if image.mode != "RGB" else image)


def decode_frames(frames: list[StoredFrame]) -> UInt8[Tensor, "frame 3 height width"]:
    """The pixels of frames; memory is channels last, as all readers deliver it.

    Args:
        frames: of one size.

    Raises:
        OSError: when one is damaged.
    """
    return torch.from_numpy(np.stack([decode_jpeg(frame.jpeg) for frame in frames])).permute(0, 3, 1, 2)
