"""`reconstruct --export` and `video-ae export`, with a model that makes things up."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from wave_walk import SIZE, write_fake_weights

from video_ae.cli.reconstruction_commands import EXPORTS as NAMES_OF_THE_COMMAND
from video_ae.datasets.colmap_model import ColmapModels
from video_ae.datasets.nerfstudio_scenes import Nerfstudio
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.formats import splats
from video_ae.formats.cameras_json import read_cameras_json
from video_ae.formats.depth_maps import read_depth
from video_ae.formats.kitti import read_kitti
from video_ae.formats.ply import read_gaussians, read_ply
from video_ae.pipelines.reconstruct import export_reconstruction, reconstruct_video
from video_ae.scene.exporters import FORMATS
from video_ae.scene.gaussian_refinement import render_gaussians
from video_ae.scene.reconstruction import Reconstruction
from video_ae.videos.open import open_video
from video_ae.videos.writer import write_video

COUNT = 7
PRODUCTS = {one.product for one in FORMATS.values() if one.in_all}
ALWAYS = {"cameras.json", "reconstruction.mp4", "novel_view.mp4", "overview.png", "summary.json", "scene"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with walk.mp4 and what was made of it: `all` with every export, `bare` with none."""
    root = tmp_path_factory.mktemp("made")
    write_fake_weights(root / "w.safetensors")
    pictures = torch.nn.functional.interpolate(
        torch.rand(COUNT, 3, 12, 16, generator=torch.Generator().manual_seed(0)), SIZE[::-1], mode="bilinear"
    )
    write_video(root / "walk.mp4", pictures, 25.0)
    reconstruct_video(root / "walk.mp4", root / "all", root / "w.safetensors", refine=0, stride=2)
    reconstruct_video(root / "walk.mp4", root / "bare", root / "w.safetensors", refine=0, stride=2, export=["none"])
    return root


def test_the_command_names_all_formats():
    assert set(NAMES_OF_THE_COMMAND) == set(FORMATS)


def test_none_and_all(made):
    assert {path.name for path in (made / "bare").iterdir()} == ALWAYS
    assert {path.name for path in (made / "all").iterdir()} == ALWAYS | PRODUCTS | {"images"}


def test_all_formats_tell_of_the_same_cameras(made):
    out = made / "all"
    track = read_cameras_json(out / "cameras.json")
    torch.testing.assert_close(
        read_kitti(out / "cameras_kitti.txt"), track.cameras.world_from_camera, atol=1e-6, rtol=0
    )
    transforms = json.loads((out / "transforms.json").read_text())
    for frame, pose in zip(transforms["frames"], track.cameras.world_from_camera, strict=True):
        flipped = torch.tensor(frame["transform_matrix"]).double() * torch.tensor([1.0, -1.0, -1.0, 1.0])
        torch.testing.assert_close(flipped, pose, atol=1e-6, rtol=0)
        assert (out / frame["file_path"]).is_file()
    assert (out / transforms["ply_file_path"]).is_file()
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: pip install -e .[peers]")
    model = pycolmap.Reconstruction(str(out / "colmap" / "sparse" / "0"))
    for number, pose in enumerate(track.cameras.world_from_camera.numpy(), 1):
        image = model.images[number]
        np.testing.assert_allclose(image.cam_from_world().inverse().matrix(), pose[:3], atol=1e-6)
        assert (out / "colmap" / "images" / image.name).is_file()


def test_a_reconstruction_is_a_data_set_of_its_frames_and_the_cameras_that_were_found(made, tmp_path):
    shutil.copytree(made / "all", tmp_path / "walk")
    track = read_cameras_json(made / "all" / "cameras.json")
    for kind in (Nerfstudio, ColmapModels):
        source = open_dataset(tmp_path / "walk")
        assert isinstance(source, kind)
        assert (source.names, source.frame_count(0)) == (["walk"], len(track.indices))
        clip = source.load(0)
        for found, expected in ((clip.cameras.world_from_camera, track.cameras.world_from_camera),
                                (clip.cameras.intrinsics, track.cameras.intrinsics)):  # fmt: skip
            torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)
        (tmp_path / "walk" / "transforms.json").unlink(missing_ok=True)  # what is left is colmap/


def test_pictures_are_the_frames_and_depth_is_that_of_the_walls(made):
    reader = open_video(made / "walk.mp4")
    names = sorted(path.name for path in (made / "all" / "images").iterdir())
    assert names == ["000000.jpg", "000002.jpg", "000004.jpg", "000006.jpg"]
    with Image.open(made / "all" / "images" / "000004.jpg") as image:
        saved = torch.from_numpy(np.asarray(image).astype(np.float32)).permute(2, 0, 1)
    assert (saved - reader.read([4])[0].float()).abs().mean() < 3
    depth, indices = read_depth(made / "all" / "depth")
    assert indices.tolist() == [0, 2, 4, 6]
    near, far = 1 / 1.6, 2.0
    assert (((depth[0] - near).abs() < 0.02) | ((depth[0] - far).abs() < 0.05)).float().mean() > 0.7
    assert len(read_gaussians(made / "all" / "gaussians.ply")) > 500


def test_an_earlier_reconstruction_is_exported_later(made, tmp_path):
    out = tmp_path / "deep" / "out"
    written = export_reconstruction(made / "bare", ["all"], out, steps=0)
    assert {path.name for path in written} == {path.name for path in out.iterdir()} == PRODUCTS | {"images"}
    for name in ("transforms.json", "cameras_tum.txt", "cameras_kitti.txt"):
        ours, theirs = (out / name).read_text(), (made / "all" / name).read_text()
        numbers = [np.array([float(w) for w in text.split() if w.lstrip("-")[:1].isdigit() and w[-1].isdigit()])
                   for text in (ours, theirs)]  # fmt: skip
        np.testing.assert_allclose(*numbers, atol=1e-6)
    first, second = (read_ply(folder / "points.ply") for folder in (out, made / "all"))
    assert len(first) == pytest.approx(len(second), rel=0.02)  # codes went through float16
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_gaussians_are_refined_on_the_video(made, tmp_path):
    """The wall of the walk is shown by them as it stands in the file, before and after."""
    found = []
    for steps in (0, 60):
        export_reconstruction(made / "bare", ["gaussians"], tmp_path / str(steps), steps=steps)
        found.append(read_gaussians(tmp_path / str(steps) / "gaussians.ply"))
    reconstruction = Reconstruction.load(made / "bare")
    cameras, size = reconstruction.cameras.to(torch.float32), reconstruction.image_size
    frames = reconstruction.frames
    before, after = ((render_gaussians(cloud, cameras, size).rgb - frames).square().mean() for cloud in found)
    assert after < 0.85 * before
    with pytest.raises(UserError, match="-1 steps of refinement"):
        export_reconstruction(made / "bare", ["gaussians"], tmp_path / "none", steps=-1)
    assert not (tmp_path / "none" / "gaussians.ply").exists()
    with pytest.raises(UserError, match="60 steps refine Gaussians, which none of these exports holds"):
        export_reconstruction(made / "bare", ["kitti", "depth"], tmp_path / "none", steps=60)


def test_exports_into_the_folder_itself_share_pictures_and_points(made, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(made / "bare", folder)
    export_reconstruction(folder, ["nerfstudio"])
    assert {path.name for path in folder.iterdir()} == ALWAYS | {"transforms.json", "images", "points.ply"}
    export_reconstruction(folder, ["colmap", "kitti"])
    with pytest.raises(UserError, match=r"transforms\.json.*allow it to be replaced"):
        export_reconstruction(folder, ["nerfstudio"])
    (folder / "transforms.json").write_text("old")
    export_reconstruction(folder, ["nerfstudio", "colmap"], overwrite=True)
    assert len(json.loads((folder / "transforms.json").read_text())["frames"]) == 4
    assert len(list((folder / "colmap" / "images").iterdir())) == 4


def test_somebodys_own_images_and_points_of_another_walk_are_replaced_only_on_demand(made, tmp_path):
    out, own = tmp_path / "project", b"a photo that is nowhere else"
    (out / "images").mkdir(parents=True)
    (out / "images" / "000002.jpg").write_bytes(own)
    with pytest.raises(UserError, match=r"000002\.jpg.*allow it to be replaced"):
        export_reconstruction(made / "bare", ["nerfstudio"], out)
    assert [path.name for path in out.iterdir()] == ["images"]
    assert (out / "images" / "000002.jpg").read_bytes() == own
    (out / "images" / "000002.jpg").unlink()
    (out / "points.ply").write_bytes(b"of another walk")
    with pytest.raises(UserError, match=r"points\.ply.*allow it to be replaced"):
        export_reconstruction(made / "bare", ["nerfstudio"], out)
    export_reconstruction(made / "bare", ["nerfstudio"], out, overwrite=True)
    assert len(read_ply(out / "points.ply")) > 100
    export_reconstruction(made / "bare", ["colmap"], out)  # the same images once more


def test_a_link_in_the_place_of_an_export_goes_and_what_it_leads_to_stays(made, tmp_path):
    out, disk = tmp_path / "out", tmp_path / "disk"
    out.mkdir()
    disk.mkdir()
    (disk / "mine.png").touch()
    (out / "depth").symlink_to(disk)
    (out / "cameras_tum.txt").symlink_to(disk / "gone.txt")
    for names in (["depth"], ["tum"]):
        with pytest.raises(UserError, match="allow it to be replaced"):
            export_reconstruction(made / "bare", names, out)
    export_reconstruction(made / "bare", ["depth", "tum"], out, overwrite=True)
    assert (out / "depth" / "depth.npz").is_file()
    assert not any(path.is_symlink() for path in out.iterdir())
    assert [path.name for path in disk.iterdir()] == ["mine.png"]


def test_where_the_video_is_gone(made, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(made / "bare", folder)
    summary = json.loads((folder / "summary.json").read_text())
    summary["settings"]["source"] = str(tmp_path / "moved.mp4")
    (folder / "summary.json").write_text(json.dumps(summary))
    export_reconstruction(folder, ["tum", "points", "gaussians", "depth"])  # need no pictures
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=r"moved\.mp4.*say where it is"):
        export_reconstruction(folder, ["colmap"])
    write_video(tmp_path / "other.mp4", torch.rand(2, 3, 48, 64))
    with pytest.raises(UserError, match="not the video"):
        export_reconstruction(folder, ["colmap"], source=tmp_path / "other.mp4")
    assert sorted(folder.rglob("*")) == before
    export_reconstruction(folder, ["colmap"], source=made / "walk.mp4")
    assert (folder / "colmap" / "sparse" / "0" / "points3D.bin").is_file()


def test_a_missing_package_and_a_file_in_the_way_are_named_before_any_work(made, tmp_path, monkeypatch):
    monkeypatch.setattr(splats, "find_spec", lambda name: None)
    for names in (["spz"], ["tum", "gltf"]):
        with pytest.raises(UserError, match=r"needs (gsply|pygltflib): pip install"):
            reconstruct_video(made / "walk.mp4", tmp_path / "out", made / "nowhere", export=names)
    monkeypatch.setattr(Reconstruction, "refine_gaussians", lambda *given: pytest.fail("the work has begun"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written, since"):
        export_reconstruction(made / "bare", ["gaussians"], tmp_path / "file" / "out", steps=9)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("names", "says"), [(["blend"], "no export 'blend'"), (["none"], "No export was named")])
def test_bad_names_are_one_sentence(made, tmp_path, names, says):
    with pytest.raises(UserError, match=says):
        export_reconstruction(made / "bare", names, tmp_path / "out")
    with pytest.raises(UserError, match="holds no reconstruction"):
        export_reconstruction(tmp_path, ["tum"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
