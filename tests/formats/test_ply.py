"""PLY files: the bytes that are written, and what other programs write."""

import numpy as np
import plyfile
import pytest
import torch

from video_ae.errors import UserError
from video_ae.formats.ply import GaussianCloud, PointCloud, read_gaussians, read_ply, write_gaussians, write_ply

POINTS = [[1.0, 0.5, -2.0], [0.25, 0.0, 4.0]]
COLORS = [[255, 0, 7], [1, 2, 3]]
POINTS_FILE = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 2\n"
    b"property float x\nproperty float y\nproperty float z\n"
    b"property uchar red\nproperty uchar green\nproperty uchar blue\nproperty float confidence\nend_header\n"
    b"\x00\x00\x80\x3f\x00\x00\x00\x3f\x00\x00\x00\xc0\xff\x00\x07\x00\x00\x40\x3f"
    b"\x00\x00\x80\x3e\x00\x00\x00\x00\x00\x00\x80\x40\x01\x02\x03\x00\x00\x80\x3f"
)
GAUSSIAN = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), "opacity",
            *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]  # fmt: skip
GAUSSIAN_FILE = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    + b"".join(f"property float {name}\n".encode() for name in GAUSSIAN)
    + b"end_header\n"
    + np.array([1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], "<f4").tobytes()
)


def cloud() -> PointCloud:
    return PointCloud(torch.tensor(POINTS), torch.tensor(COLORS, dtype=torch.uint8), torch.tensor([0.75, 1.0]))


def gaussian() -> GaussianCloud:
    half = torch.full((1, 3), 0.5)
    return GaussianCloud(torch.tensor([[1.0, 2.0, 3.0]]), half, half[:, 0], torch.ones(1, 3), torch.eye(3)[None])


def test_points_are_written_byte_for_byte(tmp_path):
    write_ply(tmp_path / "points.ply", cloud())
    assert (tmp_path / "points.ply").read_bytes() == POINTS_FILE


def test_gaussians_are_written_byte_for_byte(tmp_path):
    write_gaussians(tmp_path / "gaussians.ply", gaussian())
    assert (tmp_path / "gaussians.ply").read_bytes() == GAUSSIAN_FILE


def foreign(path, columns: dict[str, list], **form) -> None:
    """Another program's file: a comment, any properties in any order, and faces behind the vertices."""
    vertices = np.array(
        list(zip(*columns.values(), strict=True)), [(name, np.asarray(v).dtype) for name, v in columns.items()]
    )
    faces = np.array([([0, 1, 0],)], dtype=[("vertex_indices", "i4", (3,))])
    elements = [plyfile.PlyElement.describe(vertices, "vertex"), plyfile.PlyElement.describe(faces, "face")]
    plyfile.PlyData(elements, comments=["by another program"], **form).write(str(path))


FORMS = [{"text": True}, {"byte_order": ">"}, {"byte_order": "<"}]


@pytest.mark.parametrize("form", FORMS)
def test_points_of_other_programs_are_read(tmp_path, form):
    colors, points = np.array(COLORS, "u1"), np.array(POINTS, "f8")
    columns = dict(zip(["blue", "green", "red"], colors.T[::-1], strict=True))
    columns |= {"alpha": np.array([255, 255], "u1"), "quality": np.array([3, 4], "f4")}
    columns |= dict(zip("zyx", points.T[::-1], strict=True))
    foreign(tmp_path / "points.ply", columns, **form)
    found = read_ply(tmp_path / "points.ply")
    assert found.points.tolist() == POINTS
    assert found.colors.tolist() == COLORS
    assert found.confidence.tolist() == [1, 1]


@pytest.mark.parametrize("form", FORMS)
def test_gaussians_of_other_programs_are_read_without_f_rest(tmp_path, form):
    columns = {
        name: np.array([value], "f4") for name, value in zip(GAUSSIAN, [1, 2, 3, *[0] * 10, 1, 0, 0, 0], strict=True)
    }
    columns = {f"f_rest_{i}": np.array([9], "f4") for i in range(45)} | columns
    for name in ("nx", "ny", "nz"):
        del columns[name]
    foreign(tmp_path / "gaussians.ply", columns, **form)
    found = read_gaussians(tmp_path / "gaussians.ply")
    for name in GaussianCloud.__dataclass_fields__:
        torch.testing.assert_close(getattr(found, name), getattr(gaussian(), name))


def test_vertices_with_lists_are_one_sentence(tmp_path):
    header = POINTS_FILE.split(b"end_header")[0].replace(b"binary_little_endian", b"ascii")
    header = header.replace(b"property float confidence", b"property list uchar int seen_by")
    (tmp_path / "points.ply").write_bytes(header + b"end_header\n1 0.5 -2 255 0 7 2 8 9\n0.25 0 4 1 2 3 1 9\n")
    with pytest.raises(UserError, match="its vertices hold lists"):
        read_ply(tmp_path / "points.ply")


XYZ = {name: np.zeros(1, "f4") for name in "xyz"}
RGB = {name: np.zeros(1, "f4") for name in ("red", "green", "blue")}


@pytest.mark.parametrize(("columns", "says"), [(XYZ, "no red, green, blue"), (XYZ | RGB, "as bytes are expected")])
def test_points_without_colours_as_bytes_are_one_sentence(tmp_path, columns, says):
    foreign(tmp_path / "points.ply", columns)
    with pytest.raises(UserError, match=says) as caught:
        read_ply(tmp_path / "points.ply")
    assert "\n" not in str(caught.value)


def damaged() -> dict[str, bytes]:
    header, body = POINTS_FILE.split(b"end_header\n")
    end = b"end_header\n"
    return {
        "empty": b"", "text": b"hello\nworld\n", "bytes": bytes(range(256)), "magic": b"ply\n",
        "cut in the header": POINTS_FILE[:60], "cut in the body": POINTS_FILE[:-1],
        "no vertices": header.replace(b"vertex", b"corner") + end + body,
        "endless": header.replace(b"vertex 2", b"vertex 99999999999999") + end + body,
        "negative": header.replace(b"vertex 2", b"vertex -2") + end + body,
        "no number": header.replace(b"vertex 2", b"vertex two") + end + body,
        "words": header.replace(b"binary_little_endian", b"ascii") + end + b"a b c d e f g\n" * 2,
        "too large": header.replace(b"binary_little_endian", b"ascii") + end + b"1 2 3 300 0 0 1\n" * 2,
    }  # fmt: skip


@pytest.mark.parametrize("kind", damaged())
@pytest.mark.parametrize("read", [read_ply, read_gaussians])
def test_damage_is_one_sentence(tmp_path, kind, read):
    (tmp_path / "points.ply").write_bytes(damaged()[kind])
    with pytest.raises(UserError, match=r"points\.ply' cannot be read as"):
        read(tmp_path / "points.ply")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_ply(tmp_path / "points.ply")
