"""The examples of docs/extending.md: files and commands are taken from the page and run."""

import csv
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from wave_walk import write_walk

from video_ae.cli import main
from video_ae.datasets.open import open_dataset
from video_ae.errors import UserError
from video_ae.models.open import build_model, load_model
from video_ae.scene.exporters import chosen_formats
from video_ae.scene.reconstruction import Reconstruction
from video_ae.types import Cameras, ModelOutput, MultiplaneVolume, VideoClip

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r'^```\w+ title="([\w.]+)"\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^video-ae train .+$", PAGE, re.MULTILINE)
EXPORTS = re.findall(r"^video-ae (?:reconstruct|export) .+$", PAGE, re.MULTILINE)
# What makes a run short; `camera` is the cheap one of the quickstart's training.
SHORT = [
    "--trainer.max_steps=1", "--trainer.accelerator=cpu", "--data.size=[40,30]", "--data.length=3",
    "--data.validation_root=null", "--data.batch_size=1", "--model.init_args.planes=8",
]  # fmt: skip
CAMERA = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())["model"]["init_args"]["training_camera"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """The page's files beside ARRAYS, a folder with two videos and one file that is none."""
    folder = tmp_path_factory.mktemp("extending")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "ARRAYS").mkdir()
    picture = torch.rand(1, 3, 9, 13, generator=torch.Generator().manual_seed(3))
    wide = torch.nn.functional.interpolate(picture, (36, 72), mode="bicubic")[0].clamp(0, 1)
    walk = np.stack([(wide[:, :, 2 * i : 2 * i + 48] * 255).byte().permute(1, 2, 0).numpy() for i in range(6)])
    np.save(folder / "ARRAYS" / "walk.npy", walk)
    np.save(folder / "ARRAYS" / "back.npy", walk[::-1].copy())
    np.save(folder / "ARRAYS" / "sound.npy", np.zeros(100))
    (folder / "configs").symlink_to(ROOT / "configs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield folder
        for name in FILES:
            sys.modules.pop(name.removesuffix(".py"), None)


def trained(folder: Path, command: str) -> Path:
    """Runs a command of the page for one step on the page's own data, and returns the run."""
    words = shlex.split(command)[2:]
    out = folder / words[words.index("--out") + 1]
    if "--data.root" not in words and "mine.yaml" not in words:
        words.append("--data.root=numpy_videos.NumpyVideos:ARRAYS")
    if "mine.yaml" in words:
        words += [f"--model.init_args.training_camera={CAMERA}"]
    assert main(["train", *words, *SHORT]) == 0
    return out


def test_the_page_has_all_of_it() -> None:
    assert set(FILES) == {
        "numpy_videos.py", "classical_sweep.py", "bright_void.py", "charbonnier.py", "camera_table.py", "mine.yaml",
    }  # fmt: skip
    assert (len(COMMANDS), len(EXPORTS)) == (5, 2)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[-1])
def test_commands_train_and_what_they_wrote_loads(folder: Path, command: str) -> None:
    run = trained(folder, command)
    model = load_model(run)
    names = {type(model.structure).__name__, type(model.renderer).__name__}
    assert ("ClassicalSweep" in names) == ("sweep" in command or "mine.yaml" in command)
    assert ("BrightVoid" in names) == ("void" in command or "mine.yaml" in command)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["root"] == "numpy_videos.NumpyVideos:ARRAYS"
    if "mine.yaml" in command:
        assert model.structure.log_sharpness.exp().item() == pytest.approx(80, rel=0.1)
    if "smooth" in command:
        assert config["losses"]["smooth"]["init_args"] == {"weight": 0.5, "epsilon": 0.01}
        assert set(config["losses"]) == {"l1", "ssim", "smooth"}


def test_data_set_gives_the_arrays_and_sets_the_rest_aside(folder: Path) -> None:
    source = open_dataset("numpy_videos.NumpyVideos:ARRAYS")
    assert list(source.names) == ["back", "walk"]
    assert "bytes [frame, height, width, 3] are needed" in source.skipped["sound"]
    clip = source.load(1, [5, 0])
    true = torch.from_numpy(np.load(folder / "ARRAYS" / "walk.npy")).permute(0, 3, 1, 2) / 255
    assert torch.equal(clip.frames, true[[5, 0]])
    assert clip.times.isnan().all()
    assert source.load(0, [0], (20, 20), "crop").image_size == (20, 20)


@pytest.mark.parametrize("root", ["numpy_videos.Missing:ARRAYS", "no_such_module.Videos:ARRAYS"])
def test_a_data_set_that_is_not_there_is_said_in_one_sentence(folder: Path, root: str) -> None:
    with pytest.raises(UserError, match=r"names no data set.*PYTHONPATH"):
        open_dataset(root)


def test_structure_puts_a_surface_where_colours_agree(folder: Path) -> None:
    """Two cameras side by side look at a wall at 1 / z = 0.5: its rays end at that plane."""
    from classical_sweep import ClassicalSweep

    generator = torch.Generator().manual_seed(0)
    texture = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 24, generator=generator), (24, 48), mode="bilinear")
    shift = 8  # pixels of disparity: fx * 32 pixels * baseline * 0.5
    frames = torch.stack([texture[0, :, :, :32], texture[0, :, :, shift : shift + 32]])[None]
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = 0.5
    cameras = Cameras(poses, torch.tensor([1.0, 32 / 24, 0.5, 0.5]).expand(1, 2, 4))
    planes = torch.tensor([[1.0, 0.75, 0.5, 0.25]])
    code = ClassicalSweep(200.0)(frames, cameras, cameras.select([0]), planes)
    opacity = 1 - torch.exp(-code.density[0])
    ends = opacity * torch.cat([torch.ones_like(opacity[:1]), torch.cumprod(1 - opacity, 0)[:-1]])
    seen_by_both = ends[:, 4:-4, shift + 2 : -2].argmax(0)
    assert (seen_by_both == 2).float().mean() > 0.9
    assert code.features.shape == (1, 3, 4, 24, 32)


def test_renderer_is_white_where_nothing_was_seen(folder: Path) -> None:
    settings = yaml.safe_load(FILES["mine.yaml"])["model"] | {}
    settings["class_path"] = "PerspectiveAutoencoder"
    renderer = build_model(settings).renderer
    camera = Cameras(torch.eye(4)[None, None], torch.tensor([[[1.0, 1.0, 0.5, 0.5]]]))
    rotated = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))[None, None]  # looks the other way
    density = torch.cat([torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 12.0)], 1)
    code = MultiplaneVolume(density, torch.full((1, 3, 2, 4, 4), 0.25), torch.tensor([[1.0, 0.5]]), camera)
    assert (renderer(code, camera, 4, 4).rgb - 0.25).abs().max() < 1e-4
    assert (renderer(code, Cameras(rotated, camera.intrinsics), 4, 4).rgb == 1).all()


def test_loss_is_the_formula(folder: Path) -> None:
    from charbonnier import Charbonnier

    clip = VideoClip(torch.zeros(1, 2, 3, 2, 2), torch.arange(2)[None], torch.zeros(1, 2))
    value = Charbonnier(epsilon=0.4)(ModelOutput(torch.full((1, 1, 3, 2, 2), 0.3), torch.tensor([1])), clip)
    assert value.item() == pytest.approx(0.5)


def test_export_writes_where_the_cameras_stand(folder: Path) -> None:
    write_walk(folder, 3)
    reconstruct, export = (shlex.split(command)[1:] for command in EXPORTS)
    assert main([*reconstruct, "--weights=weights.safetensors", "--refine=0", "--device=cpu"]) == 0
    assert {"points.ply", "centres.csv", "cameras.json"} <= {path.name for path in (folder / "walk").iterdir()}
    assert main([*export, "--device=cpu"]) == 0
    assert [path.name for path in (folder / "tables").iterdir()] == ["centres.csv"]
    walk = Reconstruction.load(folder / "walk", "cpu")
    head, *rows = csv.reader((folder / "tables" / "centres.csv").read_text().splitlines())
    assert head == ["frame", "x", "y", "z"]
    table = torch.tensor([list(map(float, row)) for row in rows], dtype=torch.float64)
    assert torch.equal(table, torch.cat([torch.arange(3.0)[:, None], walk.cameras.centers], 1))
    with pytest.raises(UserError, match=r"centres\.csv' exists: choose another folder"):
        walk.export(folder / "tables", ["camera_table.centres"])
    assert [path.name for path in walk.export("tables", ["camera_table.centres"], overwrite=True)] == ["centres.csv"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module.centres", "names no export.*PYTHONPATH"),
        ("camera_table.missing", "names no export.*PYTHONPATH"),
        (".centres", "names no export"),
        ("camera_table.__doc__", "is no function that writes an export"),
        ("tables", "no export 'tables': choose from .*module.function"),
    ],
)
def test_an_export_that_is_not_there_is_said_in_one_sentence(folder: Path, name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        chosen_formats([name])
