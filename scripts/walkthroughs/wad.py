"""Doom map files (WAD): reading the geometry, and writing a copy of a map without anything that moves.

Format: "The Unofficial Doom Specs", M. Fell, 1994. Lengths are map units (about 32 a metre), x east, y north, z up.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAP_LUMPS = ("THINGS", "LINEDEFS", "SIDEDEFS", "VERTEXES", "SEGS", "SSECTORS", "NODES", "SECTORS", "REJECT", "BLOCKMAP")
THING = np.dtype([("x", "<i2"), ("y", "<i2"), ("angle", "<i2"), ("type", "<i2"), ("flags", "<i2")])
LINE = np.dtype([(n, "<u2") for n in ("start", "end", "flags", "special", "tag", "front", "back")])
SIDE = np.dtype([("x", "<i2"), ("y", "<i2"), ("upper", "S8"), ("lower", "S8"), ("middle", "S8"), ("sector", "<u2")])
SECTOR = np.dtype([("floor", "<i2"), ("ceiling", "<i2"), ("floor_flat", "S8"), ("ceiling_flat", "S8"),
                   ("light", "<i2"), ("special", "<i2"), ("tag", "<i2")])  # fmt: skip
NO_SIDE = 0xFFFF
PLAYER_ONE = 1
STATIC_WALL = b"STONE2"
SOLID = 1  # line flag: nobody walks through

# Doom's own animated images (Unofficial Doom Specs, 8-2 and 8-3), by the start of their names.
ANIMATED_FLATS = (b"NUKAGE", b"FWATER", b"SWATER", b"LAVA", b"BLOOD", b"RROCK05", b"RROCK06", b"RROCK07", b"RROCK08",
                  b"SLIME0", b"SLIME1")  # fmt: skip
ANIMATED_WALLS = (b"BLODGR", b"SLADRIP", b"BLODRIP", b"FIREWAL", b"GSTFONT", b"FIRELAV", b"FIREMAG", b"FIREBLU",
                  b"ROCKRED", b"BFALL", b"SFALL", b"WFALL", b"DBRAIN")  # fmt: skip


@dataclass(frozen=True)
class Lump:
    """A named block of bytes in a WAD.

    Args:
        name: up to eight characters.
        data: its content.
    """

    name: str
    data: bytes


@dataclass(frozen=True)
class DoomMap:
    """Geometry of one map, as arrays of the records above.

    Args:
        things: of `THING`.
        lines: of `LINE`.
        sides: of `SIDE`.
        sectors: of `SECTOR`.
        vertices: (number, 2), in map units.
    """

    things: np.ndarray
    lines: np.ndarray
    sides: np.ndarray
    sectors: np.ndarray
    vertices: np.ndarray


def read_wad(path: Path) -> list[Lump]:
    """All lumps of a WAD in order.

    Args:
        path: the file.

    Raises:
        ValueError: when the file is not a WAD.
    """
    content = path.read_bytes()
    magic, count, directory = struct.unpack_from("<4sii", content)
    if magic not in (b"IWAD", b"PWAD"):
        raise ValueError(f"{path} is not a WAD: it starts with {magic!r}")
    entries = struct.iter_unpack("<ii8s", content[directory : directory + 16 * count])
    return [Lump(name.rstrip(b"\0").decode("ascii"), content[start : start + size]) for start, size, name in entries]


def write_wad(path: Path, lumps: list[Lump]) -> None:
    """Writes a patch WAD.

    Args:
        path: the file.
        lumps: its content, in order.
    """
    body, directory = b"", b""
    for lump in lumps:
        directory += struct.pack("<ii8s", 12 + len(body), len(lump.data), lump.name.encode("ascii"))
        body += lump.data
    path.write_bytes(struct.pack("<4sii", b"PWAD", len(lumps), 12 + len(body)) + body + directory)


def map_lumps(lumps: list[Lump], name: str) -> dict[str, Lump]:
    """The lumps of one map by name.

    Args:
        lumps: of a WAD.
        name: of the map: `MAP01`, `E1M1`.

    Raises:
        ValueError: when the WAD has no such map.
    """
    names = [lump.name for lump in lumps]
    if name not in names:
        raise ValueError(f"no map {name} in this WAD")
    start = names.index(name) + 1
    return {lump.name: lump for lump in lumps[start : start + len(MAP_LUMPS)] if lump.name in MAP_LUMPS}


def read_map(lumps: list[Lump], name: str) -> DoomMap:
    """Geometry of one map.

    Args:
        lumps: of a WAD.
        name: of the map: `MAP01`, `E1M1`.

    Raises:
        ValueError: when the WAD has no such map.
    """
    found = map_lumps(lumps, name)

    def records(lump: str, dtype: np.dtype) -> np.ndarray:
        return np.frombuffer(found[lump].data, dtype)

    vertices = np.frombuffer(found["VERTEXES"].data, "<i2").reshape(-1, 2).astype(np.float64)
    return DoomMap(records("THINGS", THING), records("LINEDEFS", LINE), records("SIDEDEFS", SIDE),
                   records("SECTORS", SECTOR), vertices)  # fmt: skip


def still_map(lumps: list[Lump], name: str) -> list[Lump]:
    """Lumps of a patch WAD in which a map has nothing but its building.

    No things are left except the player's start, no flicker, no moving or scrolling surface, no animated image; light
    is brighter (at least 160 of 255).

    Args:
        lumps: of a WAD.
        name: of the map: `MAP01`, `E1M1`.

    Raises:
        ValueError: when the WAD has no such map.
    """
    found = map_lumps(lumps, name)
    things, lines, sides, sectors = (
        np.frombuffer(found[lump].data, dtype).copy()
        for lump, dtype in (("THINGS", THING), ("LINEDEFS", LINE), ("SIDEDEFS", SIDE), ("SECTORS", SECTOR))
    )
    lines["special"] = 0
    sectors["special"] = 0
    sectors["light"] = 160 + np.clip(sectors["light"], 0, 255) * 95 // 255
    for part in ("upper", "lower", "middle"):
        sides[part][[side.startswith(ANIMATED_WALLS) for side in sides[part]]] = STATIC_WALL
    flats = {lump.name.encode(): lump.data for lump in lumps if lump.name.encode().startswith(ANIMATED_FLATS)}
    still_names = {flat: b"STILL%03d" % i for i, flat in enumerate(sorted(flats))}
    for part in ("floor_flat", "ceiling_flat"):
        sectors[part] = [still_names.get(flat, flat) for flat in sectors[part]]
    changed = {"THINGS": things[things["type"] == PLAYER_ONE][:1].tobytes(), "LINEDEFS": lines.tobytes(),
               "SIDEDEFS": sides.tobytes(), "SECTORS": sectors.tobytes()}  # fmt: skip
    building = [Lump(lump, changed.get(lump, found[lump].data)) for lump in MAP_LUMPS if lump in found]
    copies = [Lump(still_names[flat].decode(), flats[flat]) for flat in sorted(flats)]
    return [Lump(name, b""), *building, Lump("FF_START", b""), *copies, Lump("FF_END", b"")]
