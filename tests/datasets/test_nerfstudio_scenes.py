"""transforms.json, written here by the rules of nerfstudio's page, in our convention."""

import json
import math
from pathlib import Path

import pytest
import torch
from posed_world import COUNT, HEIGHT, WIDTH, dot_error, poses, write_images

from video_ae.datasets.nerfstudio_scenes import Nerfstudio
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.formats.nerfstudio import write_nerfstudio
from video_ae.formats.trajectory import trajectory_of
from video_ae.types import Cameras, VideoClip

FX, FY, CX, CY = INTRINSICS = (70.0, 66.0, 41.0, 29.0)
NAMES = [f"images/frame{8 + number}.png" for number in range(COUNT)]  # sorted as text, 10 comes before 8
SHARED = {"w": WIDTH, "h": HEIGHT, "fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "k1": 0.0, "camera_model": "OPENCV"}


def opengl() -> list[list[list[float]]]:
    """x right, y up, z backward: columns y and z of the same camera the other way round."""
    matrices = poses().double()
    matrices[:, :3, 1] *= -1
    matrices[:, :3, 2] *= -1
    return matrices.tolist()


def frames(matrices: list | None = None, names: list[str] = NAMES) -> list[dict]:
    """In the reverse order of the video."""
    rows = zip(names, matrices or opengl(), strict=True)
    return [{"file_path": name, "transform_matrix": matrix} for name, matrix in rows][::-1]


def write(root: Path, content: object, name: str = "transforms.json") -> None:
    (root / name).write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A scene without its transforms."""
    write_images([tmp_path / "scene" / name for name in NAMES], INTRINSICS)
    return tmp_path / "scene"


@pytest.mark.parametrize(
    ("size", "fit"), [(None, "stretch"), ((48, 48), "stretch"), ((48, 48), "crop"), (40, "stretch")]
)
def test_the_cameras_project_the_point_onto_the_dot(root, size, fit) -> None:
    write(root, {**SHARED, "frames": frames()})
    source = open_dataset(root)
    assert isinstance(source, Nerfstudio)
    assert (source.names, source.frame_count(0)) == (["scene"], COUNT)
    assert dot_error(source.load(0, size=size, fit=fit)) < 1, "a dot is drawn at whole pixels"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: poses().tolist(),  # no flip of the axes
        lambda: torch.linalg.inv(torch.tensor(opengl())).tolist(),  # camera_from_world
        lambda: (torch.diag(torch.tensor([1.0, -1, -1, 1])) @ torch.tensor(opengl())).tolist(),  # the world flipped too
        lambda: opengl()[::-1],  # another order
    ],
)
def test_another_convention_would_be_seen(root, wrong) -> None:
    write(root, {**SHARED, "frames": frames(wrong())})
    assert not dot_error(open_dataset(root).load(0)) < 3


def test_intrinsics_of_a_frame_go_first(root) -> None:
    own = [{**frame, **SHARED} for frame in frames()]
    write(root, {"fl_x": 1.0, "cx": 5.0, "frames": own})
    assert dot_error(open_dataset(root).load(0)) < 1


@pytest.mark.parametrize("extra", [{}, {"camera_angle_y": 2 * math.atan(HEIGHT / 2 / 50)}])
def test_blender_has_an_angle_of_view_no_suffix_and_three_parts(root, extra) -> None:
    focal = (60.0, 50.0 if extra else 60.0, WIDTH / 2, HEIGHT / 2)
    for part in ("train", "val"):
        names = [f"./{part}/r_{number}" for number in range(COUNT)]
        write_images([root / f"{name}.png" for name in names], focal)
        angles = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / 60), **extra}
        write(root, {**angles, "frames": frames(names=names)}, f"transforms_{part}.json")
    source = open_dataset(root)
    assert source.names == ["scene/train", "scene/val"]
    for number in range(2):
        assert dot_error(source.load(number)) < 1
    write(root, {**SHARED, "frames": frames()})
    assert open_dataset(root).names == ["scene"], "the parts are in the whole"


def test_pictures_may_be_scaled(root) -> None:
    double = {name: 2 * value for name, value in SHARED.items() if name != "camera_model"}
    write(root, {**double, "frames": frames()})
    assert dot_error(open_dataset(root).load(0)) < 1
    write(root, {**SHARED, "h": 2 * HEIGHT, "frames": frames()})
    with pytest.raises(UserError, match=r"80x60.*80x120"):
        open_dataset(root)


def test_what_our_export_writes_is_read_back(root) -> None:
    focal = torch.tensor([FX / WIDTH, FY / HEIGHT, CX / WIDTH, CY / HEIGHT]).expand(COUNT, 4)
    given = VideoClip(torch.zeros(COUNT, 3, HEIGHT, WIDTH), torch.arange(COUNT), torch.zeros(COUNT).double())
    track = trajectory_of(Cameras(poses(), focal), given)
    write_nerfstudio(root / "transforms.json", track, NAMES)
    clip = open_dataset(root).load(0)
    torch.testing.assert_close(
        clip.cameras.world_from_camera, track.cameras.world_from_camera.float(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(clip.cameras.intrinsics, focal, atol=1e-5, rtol=0)


def without(name: str) -> dict:
    return {key: value for key, value in SHARED.items() if key != name}


BENT = [[[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]] * COUNT
ENDLESS = [[[1.0, 0, 0, math.nan], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]] * COUNT


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "no usable transforms.json"),
        ({**SHARED}, "'frames'"),
        ({**SHARED, "frames": []}, "has no frames"),
        ({**SHARED, "frames": [{"file_path": NAMES[0]}]}, "'transform_matrix'"),
        ({**SHARED, "frames": frames([[[1.0, 0.0]]] * COUNT)}, "no usable transforms.json"),
        ({**SHARED, "frames": frames(BENT)}, "rotation"),
        ({**SHARED, "frames": frames(ENDLESS)}, "rotation"),
        ({**SHARED, "frames": frames()[:1]}, "at least two"),
        ({**without("fl_x"), "frames": frames()}, "fl_x or camera_angle_x"),
        ({**SHARED, "fl_x": "wide", "frames": frames()}, "no usable transforms.json"),
        ({**SHARED, "fl_x": -70, "frames": frames()}, "no positive number"),
        ({**SHARED, "frames": frames(names=[*NAMES[1:], "images/gone.png"])}, r"gone.png' of .* does not exist"),
    ],
)
def test_damage_is_one_sentence(root, content, says) -> None:
    write(root, content)
    with pytest.raises(UserError, match=says) as caught:
        open_dataset(root)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_is_set_aside(root) -> None:
    text = json.dumps({**SHARED, "frames": frames()})
    write(root, json.loads(text), "transforms_train.json")
    (root / "transforms_test.json").write_text(text[:200])
    source = open_dataset(root)
    assert source.names == ["scene/train"]
    assert "transforms_test.json' is no usable transforms.json (JSONDecodeError" in source.skipped["scene/test"]


@pytest.mark.parametrize(
    ("lens", "kept"),
    [
        ({"k1": 0.01, "p2": 0.001}, True),
        ({"k1": 0.2}, False),
        ({"p1": 0.1}, False),
        ({"camera_model": "OPENCV_FISHEYE"}, False),
        ({"is_fisheye": True}, False),
    ],
)
def test_what_no_pinhole_took_has_frames_and_no_cameras(root, lens, kept, caplog) -> None:
    write(root, {**SHARED, **lens, "frames": frames()})
    clip = open_dataset(root).load(0)
    assert len(clip) == COUNT
    assert (clip.cameras is not None) == kept
    assert [("image_undistorter" in record.getMessage()) for record in caplog.records] == ([] if kept else [True])


@pytest.mark.parametrize(
    "name", [lambda name: ".\\" + name.replace("/", "\\"), lambda name: name.removesuffix(".png").replace("/", "\\")]
)
def test_paths_of_windows(root, name) -> None:
    write(root, {**SHARED, "frames": frames(names=[name(one) for one in NAMES])})
    assert dot_error(open_dataset(root).load(0)) < 1


@pytest.mark.parametrize("which", ["all entries", "the rotation", "a factor of its own for each"])
def test_scales_of_the_matrices_are_taken_out(root, which) -> None:
    matrices = torch.tensor(opengl(), dtype=torch.float64)
    if which == "the rotation":
        matrices[:, :3, :3] *= 1.07
    else:
        own = torch.arange(COUNT)[:, None, None] if "own" in which else 0
        matrices *= 1.07 + own
    write(root, {**SHARED, "frames": frames(matrices.tolist())})
    clip = open_dataset(root).load(0)
    assert dot_error(clip) < 1
    torch.testing.assert_close(clip.cameras.world_from_camera, poses(), atol=1e-5, rtol=0)


K = [[FX, 0, CX], [0, FY, CY], [0, 0, 1]]
K4 = [[FX, 0, CX, 0], [0, FY, CY, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
BARE = {"w": WIDTH, "h": HEIGHT}


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ({**BARE, "fl_x": [FX] * COUNT, "fl_y": [FY] * COUNT, "cx": [CX] * COUNT, "cy": [CY] * COUNT}, {}),
        (BARE, {"intrinsics": [FX, FY, CX, CY]}),
        (BARE, {"intrinsics": K}),
        (BARE, {"intrinsic_matrix": K4}),
        (BARE, {"K": [entry for row in K for entry in row]}),
        ({**BARE, "intrinsics": [K4] * COUNT}, {}),
        ({**BARE, "intrinsics": [[FX, FY, CX, CY]] * COUNT}, {}),
        ({**BARE, "camera_matrix": K4}, {}),
        ({**BARE, "intrinsics": [9.0, 9, 9, 9]}, {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY}),
    ],
)
def test_intrinsics_as_others_write_them(root, shared, own) -> None:
    write(root, {**shared, "frames": [{**frame, **own} for frame in frames()]})
    assert dot_error(open_dataset(root).load(0)) < 1


def test_lists_belong_to_the_frames_in_the_order_of_the_file(root) -> None:
    focal = [50.0 + number for number in range(COUNT)]
    write(root, {**BARE, "fl_x": focal, "frames": frames()})
    found = open_dataset(root).load(0).cameras.intrinsics[:, 0] * WIDTH
    assert found.tolist() == pytest.approx(focal[::-1]), "frames stand in the reverse order of the video"
    write(root, {**BARE, "fl_x": focal[1:], "frames": frames()})
    with pytest.raises(UserError, match="fl_x has 4 entries for 5 frames"):
        open_dataset(root)


@pytest.mark.parametrize("size", [{"w": 4 * WIDTH, "h": 4 * HEIGHT}, {}])
def test_only_a_scaled_copy_of_the_images_is_there(root, size) -> None:
    (root / "images").rename(root / "images_4")
    values = {"fl_x": 4 * FX, "fl_y": 4 * FY, "cx": 4 * CX, "cy": 4 * CY, **size}
    write(root, {**values, "frames": frames()})
    assert dot_error(open_dataset(root).load(0)) < 1
