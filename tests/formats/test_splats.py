"""Smaller formats of Gaussians, read back by programs that are not ours and compared in rendered pixels."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile

import numpy as np
import plyfile
import pytest
import torch
from PIL import Image
from splat_renderer import render_splats
from test_splat_page import SIZE, cameras, cloud, psnr

from video_ae.errors import UserError
from video_ae.formats.ply import GaussianCloud, read_gaussians, write_gaussians
from video_ae.formats.sog import write_sog
from video_ae.formats.splats import write_compressed_ply, write_gltf, write_spz
from video_ae.geometry.se3 import invert

WRITERS = {"a.spz": write_spz, "a.compressed.ply": write_compressed_ply, "a.glb": write_gltf}
HALF_TURN = np.diag([-1.0, -1.0, 1.0])  # about z


def image(path) -> np.ndarray:
    pose, intrinsics = cameras().world_from_camera[1], cameras().intrinsics[1] * torch.tensor([*SIZE, *SIZE])
    return render_splats(path, invert(pose), *intrinsics.tolist(), *SIZE, 24).numpy()


@pytest.fixture
def original(tmp_path):
    write_gaussians(tmp_path / "original.ply", cloud())
    return image(tmp_path / "original.ply")


def write_layout(path, means, log_scales, wxyz, logits, harmonics) -> None:
    """A file as the reference implementation lays it out, by plyfile."""
    names = ["x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3", "opacity",
             "f_dc_0", "f_dc_1", "f_dc_2"]  # fmt: skip
    values = np.concatenate([means, log_scales, wxyz, np.reshape(logits, (-1, 1)), harmonics], 1)
    vertices = np.array([tuple(row) for row in values], [(name, "f4") for name in names])
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")]).write(str(path))


def test_all_harmonics_of_the_reference_implementation(tmp_path, original):
    write_gaussians(tmp_path / "sh3.ply", cloud(), degree=3)
    header = (tmp_path / "sh3.ply").read_bytes().split(b"end_header")[0].decode().split("property float ")[1:]
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(45)),
             "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]  # fmt: skip
    assert [name.strip() for name in header] == names  # in the order of its `construct_list_of_attributes`
    assert np.array_equal(image(tmp_path / "sh3.ply"), original)
    vertices = plyfile.PlyData.read(str(tmp_path / "sh3.ply"))["vertex"]
    assert all(not vertices[name].any() for name in names[9:54])


@pytest.mark.parametrize("name", ["a.spz", "a.compressed.ply"])
def test_gsply_reads_the_same_scene(tmp_path, original, name):
    gsply = pytest.importorskip("gsply", reason="the extra `splats` is not installed")
    WRITERS[name](tmp_path / name, cloud())
    read = gsply.read_spz(tmp_path / name) if name.endswith("spz") else gsply.plyread(tmp_path / name)
    write_layout(tmp_path / "back.ply", read.means, read.scales, read.quats, read.opacities, read.sh0)
    assert psnr(image(tmp_path / "back.ply"), original) > 40


@pytest.mark.parametrize("name", ["a.spz", "a.compressed.ply"])
def test_torch_keeps_its_threads(tmp_path, name):
    """gsply 0.4.6 on Numba 0.68 gives torch as many as Numba has, which is one in these tests."""
    pytest.importorskip("gsply", reason="the extra `splats` is not installed")
    torch.set_num_threads(2)
    try:
        WRITERS[name](tmp_path / name, cloud())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.fixture(scope="module")
def transform(tmp_path_factory):
    """A function: (input, output) -> splat-transform converts."""
    program = shutil.which("splat-transform")
    if program is None:
        pytest.skip("there is no splat-transform: `npm install -g @playcanvas/splat-transform@3.7.0`")
    return lambda source, target: subprocess.run([program, "-q", "-w", "-g", "cpu", source, target], check=True)


@pytest.mark.parametrize("name", ["a.spz", "a.compressed.ply", "a.sog"])
def test_splat_transform_reads_the_same_scene(tmp_path, original, transform, name):
    if name != "a.sog":
        pytest.importorskip("gsply", reason="the extra `splats` is not installed")
    (WRITERS | {"a.sog": write_sog})[name](tmp_path / name, cloud())
    transform(tmp_path / name, tmp_path / "back.ply")
    assert psnr(image(tmp_path / "back.ply"), original) > 40


@pytest.mark.parametrize("degree", [0, 3])
def test_splat_transform_reads_our_ply(tmp_path, original, transform, degree):
    write_gaussians(tmp_path / "a.ply", cloud(), degree)
    transform(tmp_path / "a.ply", tmp_path / "back.ply")
    assert np.allclose(image(tmp_path / "back.ply"), original, atol=1e-4)


def gltf_attributes(path) -> tuple[dict, dict[str, np.ndarray]]:
    """The primitive and its attributes, read by the layout of glTF 2.0 (chunks, views, accessors)."""
    content = path.read_bytes()
    magic, version, length, size, kind = struct.unpack("<4sIII4s", content[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), b"JSON")
    scene, body = json.loads(content[20 : 20 + size]), content[28 + size :]
    assert scene["extensionsUsed"] == ["KHR_gaussian_splatting"]
    primitive = scene["meshes"][0]["primitives"][0]
    return primitive, {name: gltf_values(scene, body, number) for name, number in primitive["attributes"].items()}


def gltf_values(scene: dict, body: bytes, number: int) -> np.ndarray:
    accessor = scene["accessors"][number]
    kind = {5126: "<f4", 5121: "u1"}[accessor["componentType"]]
    wide = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    start = scene["bufferViews"][accessor["bufferView"]].get("byteOffset", 0)
    return np.frombuffer(body, kind, accessor["count"] * wide, start).reshape(-1, wide).astype(float)


def gltf_as_ply(path, target) -> None:
    """What a reader of KHR_gaussian_splatting sees, in the layout of the PLY, turned back."""
    _, values = gltf_attributes(path)
    part = lambda name: values[f"KHR_gaussian_splatting:{name}"]  # noqa: E731
    x, y, z, w = part("ROTATION").T
    wxyz = np.stack([-z, -y, x, w], -1)  # the quaternion of half a turn about z, (0, 0, 1, 0), times this one
    logits = np.log(part("OPACITY") / (1 - part("OPACITY")))
    write_layout(
        target, values["POSITION"] @ HALF_TURN, np.log(part("SCALE")), wxyz, logits, part("SH_DEGREE_0_COEF_0")
    )


def test_gltf_holds_the_same_scene_half_a_turn_about_z(tmp_path, original):
    pytest.importorskip("pygltflib", reason="the extra `splats` is not installed")
    write_gltf(tmp_path / "a.glb", cloud())
    primitive, values = gltf_attributes(tmp_path / "a.glb")
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    assert np.allclose(values["COLOR_0"][:, 3], cloud().opacity)
    gltf_as_ply(tmp_path / "a.glb", tmp_path / "back.ply")
    assert psnr(image(tmp_path / "back.ply"), original) > 60


def test_gltf_is_turned_as_splat_transform_turns_it(tmp_path, transform):
    pytest.importorskip("pygltflib", reason="the extra `splats` is not installed")
    write_gltf(tmp_path / "ours.glb", cloud())
    write_gaussians(tmp_path / "a.ply", cloud())
    transform(tmp_path / "a.ply", tmp_path / "theirs.glb")
    (_, ours), (_, theirs) = gltf_attributes(tmp_path / "ours.glb"), gltf_attributes(tmp_path / "theirs.glb")
    for name in set(ours) - {"COLOR_0"}:  # theirs has sRGB values there, and glTF asks for linear ones
        sign = np.sign((ours[name] * theirs[name]).sum(1, keepdims=True)) if "ROTATION" in name else 1
        assert np.allclose(ours[name], sign * theirs[name], atol=1e-5), name


def test_spz_holds_far_scenes_and_refuses_what_it_cannot_hold(tmp_path):
    gsply = pytest.importorskip("gsply", reason="the extra `splats` is not installed")
    for far in (1e-3, 1.0, 5000.0, 1e6):
        scene = moved(cloud(50), far)
        write_spz(tmp_path / "a.spz", scene)
        step = max(far * 4 / 2**23, 2**-17)
        assert np.abs(gsply.read_spz(tmp_path / "a.spz").means - scene.centres.numpy()).max() < step
    with pytest.raises(UserError, match=r"reaches to .*export it as PLY"):
        write_spz(tmp_path / "far.spz", moved(cloud(50), 1e7))
    assert not (tmp_path / "far.spz").exists()


def moved(scene: GaussianCloud, far: float) -> GaussianCloud:
    return GaussianCloud(scene.centres * far, scene.colors, scene.opacity, scene.scale, scene.rotation)


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_library_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "gsply", None)
    monkeypatch.setitem(sys.modules, "pygltflib", None)
    with pytest.raises(UserError, match=r"pip install 'video-ae\[splats\]'"):
        WRITERS[name](tmp_path / name, cloud(5))
    assert list(tmp_path.iterdir()) == []


def test_our_ply_is_read_back_exactly(tmp_path):
    write_gaussians(tmp_path / "a.ply", cloud(), degree=3)
    read = read_gaussians(tmp_path / "a.ply")
    torch.testing.assert_close(read.centres, cloud().centres)
    torch.testing.assert_close(read.rotation, cloud().rotation, atol=1e-6, rtol=0)


def sog_values(path) -> dict[str, np.ndarray]:
    """A SOG bundle as its specification says, by Pillow."""
    with zipfile.ZipFile(path) as archive:
        meta = json.loads(archive.read("meta.json"))
        pixels = {}
        for name in ("means_l", "means_u", "scales", "quats", "sh0"):
            image = np.asarray(Image.open(io.BytesIO(archive.read(f"{name}.webp")))).astype(int)
            pixels[name] = image.reshape(-1, image.shape[-1])[: meta["count"]]
    least, most = np.array(meta["means"]["mins"]), np.array(meta["means"]["maxs"])
    curved = least + (most - least) * (pixels["means_u"] << 8 | pixels["means_l"]) / 65535
    small, largest = (pixels["quats"][:, :3] / 255 - 0.5) * 2**0.5, pixels["quats"][:, 3] - 252
    whole = [np.insert(row, place, max(0, 1 - row @ row) ** 0.5) for row, place in zip(small, largest, strict=True)]
    opacity = (pixels["sh0"][:, 3] / 255).clip(1e-3, 1 - 1e-3)
    return {
        "means": np.sign(curved) * np.expm1(np.abs(curved)),
        "scales": np.array(meta["scales"]["codebook"])[pixels["scales"]],
        "wxyz": np.reshape(whole, (-1, 4)),
        "logits": np.log(opacity / (1 - opacity)),
        "harmonics": np.array(meta["sh0"]["codebook"])[pixels["sh0"][:, :3]],
    }


def test_sog_holds_the_same_scene_by_its_specification(tmp_path, original):
    write_sog(tmp_path / "a.sog", cloud())
    write_layout(tmp_path / "back.ply", *sog_values(tmp_path / "a.sog").values())
    assert psnr(image(tmp_path / "back.ply"), original) > 40
    write_sog(tmp_path / "b.sog", cloud())
    assert (tmp_path / "a.sog").read_bytes() == (tmp_path / "b.sog").read_bytes()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_sog_of_few_gaussians(tmp_path, count):
    few = cloud(5).select(slice(0, count))
    write_sog(tmp_path / "a.sog", few)
    found = sog_values(tmp_path / "a.sog")["means"]
    assert np.allclose(np.sort(found, 0), few.centres.sort(0).values, atol=1e-4)
