"""What `benchmark_performance.py` measures, each in a process of its own: CPU seconds of one thread, or as said.

Commits before 73fe9c0 have another interface.
"""

import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WALKS = ROOT / "data" / "walkthroughs"
FRAMES, REFINE_STEPS = 25, 4
WIDE = (346, 192)  # (width, height) of views as large as the model takes frames
VIEWS = 24  # in a row along the path of novel_view.mp4
ROWS = {  # measured with both commits -> how
    "cameras, feed-forward, 25 frames": "a validation walk-through, median of five",
    "cameras, refined, 25 frames": "the same with four rounds of refinement, median of three",
    "a training step of configs/perspective.yaml, a new clip": "forward and backward, cameras solved, median of three",
    "a new view at 346x192": f"{VIEWS} along the path of novel_view.mp4, frames' own depth included",
    "`video-ae reconstruct`, 48 frames, all files": "the whole command, starting included",
    "its cameras": "by its summary.json, as the rows below",
    "its structure": "",
    "its new views": "96 at 192x144",
}
OTHERS = {  # measured with this commit alone -> how
    "a view again": "the same views once the depth of their frames is known",
    "views a second on two threads, by the clock": "the same",
    "training step at 256 px, 4 clips of 6 frames": "as configs/perspective.yaml, new clips, median of three",
    "cameras known": "the same once more: clips come twelve times",
    "its memory, GB": "peak of the process",
    "the same of the 2021 model with its published losses": "configs/paper_realestate10k.yaml, VGG16 at random",
    "its memory, GB, 2021 model": "peak of the process",
    "two processes on two cores, times the clips of one on one": "`video-ae train --trainer.devices 2`, by the clock",
    "a new view at 576x320": f"{VIEWS} along the path of novel_view.mp4 of an enlarged walk-through, frames decoded",
    "encoding it": "as H.264",
    "a new view at 1920x1080": "the same",
    "encoding it, 1080p": "as H.264",
    "beside a busy core, times the share": (
        "cameras on two threads beside a busy process, by the clock, over a fair share of two cores"
    ),
}


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process.

    Args:
        work: is done once.
    """
    begin = time.process_time()
    work()
    return time.process_time() - begin


def cameras(refine_steps: int, count: int) -> float:
    """Median over some clips.

    Args:
        refine_steps: rounds of refinement.
        count: of clips.
    """
    from video_ae.camera.solver import CameraSolver
    from video_ae.datasets.open import open_dataset

    solver, times = CameraSolver(), []
    clips = [open_dataset(WALKS / part) for part in ("validation", "train")]
    loaded = [data.load(i).select(slice(0, FRAMES)) for data in clips for i in range(len(data))][:count]
    for clip in [loaded[0], *loaded]:
        times.append(cpu_seconds(lambda frames=clip.frames: solver.solve(frames, None, refine_steps)))
    return statistics.median(times[1:])


def batch_of(number: int, clips: int, length: int, size: tuple[int, int]) -> Any:
    """Training clips side by side.

    Args:
        number: of the batch.
        clips: in it.
        length: frames of each.
        size: (width, height) of the frames.
    """
    import torch

    from video_ae.datasets.open import open_dataset
    from video_ae.types import VideoClip

    data = open_dataset(WALKS / "train")
    names = range(clips * number, clips * (number + 1))
    loaded = [data.load(name % len(data), indices=range(length), size=size) for name in names]
    columns = ([getattr(clip, name) for clip in loaded] for name in ("frames", "indices", "times"))
    return VideoClip(*(torch.stack(column) for column in columns))


def step_of(configuration: str, *options: str) -> Callable[[Any, int], float]:
    """A function that trains on a batch, with a seed, and returns its CPU seconds: forward, all losses, backward.

    Args:
        configuration: name of a file in configs/.
        *options: of `video-ae train`.
    """
    import torch

    from video_ae.models.open import build_model
    from video_ae.training.config import parse_run

    run = parse_run(["--config", str(ROOT / "configs" / configuration), "--out", "unused", *options])
    model = build_model(run.model).train()

    def step(batch: Any, seed: int) -> float:
        torch.manual_seed(seed)

        def work() -> None:
            output = model(batch)
            sum(term.weight * term(output, batch) for term in run.losses.values()).backward()

        return cpu_seconds(work)

    return step


def training_step() -> dict[str, float]:
    """A step on a clip whose cameras are not known yet."""
    step = step_of("perspective.yaml")
    times = [step(batch_of(number, 1, 24, (128, 96)), number) for number in range(4)]
    return {list(ROWS)[2]: statistics.median(times[1:])}


def training_256() -> dict[str, float]:
    """Steps on batches at 256 pixels whose cameras are not known yet, and are; and the memory they take."""
    step, new, again = step_of("perspective.yaml"), [], []
    for number in range(4):
        batch = batch_of(number, 4, 6, (256, 256))
        new.append(step(batch, number))
        again.append(step(batch, number))
    values = statistics.median(new[1:]), statistics.median(again[1:]), peak_memory()
    return dict(zip(list(OTHERS)[2:5], values, strict=True))


def paper_256() -> dict[str, float]:
    """A step of the 2021 model with its published losses, VGG16's weights drawn at random."""
    import torch

    from video_ae.losses import perceptual
    from video_ae.losses.vgg import Vgg16Weights

    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    kernels = tuple(torch.randn(b, a, 3, 3) / (3 * a**0.5) for a, b in itertools.pairwise(widths))
    drawn = Vgg16Weights(kernels, tuple(torch.zeros(width) for width in widths[1:]), None)
    perceptual.find_vgg16 = lambda *_: drawn
    step = step_of("paper_realestate10k.yaml", "--model.imagenet_weights=null")
    return dict(zip(list(OTHERS)[5:7], (step(batch_of(0, 4, 6, (256, 256)), 0), peak_memory()), strict=True))


def peak_memory() -> float:
    """Of this process, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def scene_of_a_walk() -> tuple[Any, Any]:
    """A reconstruction of 24 frames at 346x192, cameras feed-forward, and some views of its new path."""
    import torch

    from video_ae.datasets.open import open_dataset
    from video_ae.models.open import load_video_model

    clip = open_dataset(WALKS / "test").load(0, indices=range(24), size=WIDE)
    made = load_video_model(None, torch.device("cpu")).reconstruct(clip, refine_iterations=0)
    return made, made.novel_path.select(slice(0, VIEWS))


def renderer_of(made: Any) -> Any:
    """Views of a reconstruction in the colours of its frames.

    Args:
        made: the reconstruction. Commits near 73fe9c0 take its model and its scene.
    """
    from video_ae.scene.image_based_rendering import ImageBasedRenderer

    fields = ImageBasedRenderer.__dataclass_fields__
    scene = (made,) if "reconstruction" in fields else (made.model, made.scene)
    frame = made.need_frame_reader() if hasattr(made, "need_frame_reader") else made.frames.__getitem__
    return ImageBasedRenderer(*scene, frame, made.image_size)


def new_views() -> dict[str, float]:
    """Views in the colours of the frames, the first time."""
    made, path = scene_of_a_walk()
    for _ in range(2):  # the first time compiles
        renderer = renderer_of(made)
        seconds = cpu_seconds(lambda renderer=renderer: list(renderer.images(path))) / VIEWS
    return {list(ROWS)[3]: seconds}


def views_again() -> dict[str, float]:
    """The same views on one thread and on two, when the depth of the frames is known."""
    import torch

    made, path = scene_of_a_walk()
    renderer = renderer_of(made)
    list(renderer.images(path))
    again = cpu_seconds(lambda: list(renderer.images(path))) / VIEWS
    torch.set_num_threads(2)
    begin = time.perf_counter()
    list(renderer.images(path))
    return dict(zip(list(OTHERS)[:2], (again, VIEWS / (time.perf_counter() - begin)), strict=True))


def large_views() -> dict[str, float]:
    """Views at the sizes of videos, from files of an enlarged walk-through, and what encoding takes."""
    import torch

    from video_ae.geometry.resize import resize_images
    from video_ae.models.open import load_video_model
    from video_ae.scene.image_based_rendering import ImageBasedRenderer
    from video_ae.videos.load import load_clip
    from video_ae.videos.writer import write_video

    small = load_clip(next((WALKS / "test" / "videos").glob("test_0000*.mp4")), frames=VIEWS, as_bytes=True).frames
    model = load_video_model(None, torch.device("cpu"))

    def view_and_encoding(size: tuple[int, int]) -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            write_video(Path(folder) / "walk.mp4", (resize_images(frame, size) for frame in small), 12)
            made = model.reconstruct(Path(folder) / "walk.mp4", refine_iterations=0)
            path, views = made.novel_path.select(slice(0, VIEWS)), []
            next(ImageBasedRenderer.of(made).images(path))  # compiles
            rendering = cpu_seconds(lambda: views.extend(ImageBasedRenderer.of(made).images(path)))
            encoding = cpu_seconds(lambda: write_video(Path(folder) / "views.mp4", views, 24))
        return [rendering / VIEWS, encoding / VIEWS]

    values = view_and_encoding((576, 320)) + view_and_encoding((1920, 1080))
    return dict(zip(list(OTHERS)[8:12], values, strict=True))


def two_processes() -> dict[str, float]:
    """Clips a second of two training processes over those of one; what starting takes is left out."""

    def seconds(devices: int, steps: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            options = {"out": f"{folder}/run", "trainer.max_steps": steps, "trainer.devices": devices}
            options |= {"trainer.accumulate": 1, "trainer.validate_every": 10_000, "trainer.checkpoint_every": 10_000}
            options |= {"data.reuse": 1, "trainer.strategy": "ddp" if devices > 1 else "auto"}
            command = [sys.executable, "-m", "video_ae", "train", "--config", str(ROOT / "configs/perspective.yaml")]
            begin = time.perf_counter()
            subprocess.run([*command, *(f"--{k}={v}" for k, v in options.items())], check=True, capture_output=True)
            return time.perf_counter() - begin

    one, two = (seconds(devices, 16) - seconds(devices, 4) for devices in (1, 2))
    return {list(OTHERS)[7]: 2 * one / two}


def busy_core() -> dict[str, float]:
    """Cameras on two threads, alone and beside a process that never rests."""
    import torch

    from video_ae.camera.solver import CameraSolver
    from video_ae.datasets.open import open_dataset

    torch.set_num_threads(2)
    frames, solver = open_dataset(WALKS / "validation").load(0).frames[:FRAMES], CameraSolver()

    def seconds() -> float:
        times = []
        for _ in range(4):
            begin = time.perf_counter()
            solver.solve(frames, None, 1)
            times.append(time.perf_counter() - begin)
        return statistics.median(times[1:])

    alone = seconds()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        beside = seconds()
        busy.kill()
    return {list(OTHERS)[-1]: beside / (1.5 * alone)}  # three that want to run on two cores: two thirds of one each


def reconstruct() -> dict[str, float]:
    """The whole command, and its stages."""
    video = next((WALKS / "test" / "videos").glob("test_0000*.mp4"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [sys.executable, "-m", "video_ae", "reconstruct", str(video), "--out", str(out), "--overwrite"]
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        stages = json.loads((out / "summary.json").read_text())["seconds"]
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    names = list(ROWS)[4:]
    cameras = sum(taken for stage, taken in stages.items() if stage == "lens" or stage.startswith("cameras"))
    values = whole, cameras, stages["structure"], stages["rendering new views"]
    return dict(zip(names, values, strict=True))


def matcher() -> dict[str, float]:
    """Compiled loop and tensor operations on one level of 25 frames, neighbours, four iterations; and what reading and
    writing the maps once would take."""
    import torch

    from video_ae.camera.features import LocalContrast
    from video_ae.camera.frame_graph import frame_pairs
    from video_ae.camera.optical_flow import refine_level, refine_level_compiled
    from video_ae.datasets.open import open_dataset

    frames = open_dataset(WALKS / "validation").load(0).frames[:FRAMES]
    maps = LocalContrast()(torch.nn.functional.interpolate(frames, (128, 170), mode="bilinear", antialias=True))
    edges = frame_pairs(FRAMES, (1,))
    start = torch.zeros(edges.shape[1], 2, 128, 170)
    times = {}
    for name, level in (("compiled", refine_level_compiled), ("tensor operations", refine_level)):
        runs = [cpu_seconds(lambda level=level: level(maps, edges, start, 4, 0.005)) for _ in range(4)]
        times[name] = statistics.median(runs[1:])
    source, copies = torch.rand(8_000_000), 20
    per_byte = cpu_seconds(lambda: [source.clone() for _ in range(copies)]) / (copies * 2 * source.numel() * 4)
    pixels = start.shape[0] * 128 * 170
    times["floor"] = per_byte * pixels * 4 * (2 + 2 + 2 + 5)  # two maps and the flow read, flow and four maps written
    return times


def sizes() -> dict[str, dict[str, float]]:
    """Feed-forward cameras by frames of a clip that goes there and back, and a rendered view by its shorter side."""
    import torch

    from video_ae.camera.solver import CameraSolver
    from video_ae.datasets.open import open_dataset
    from video_ae.models.open import load_video_model

    frames = open_dataset(WALKS / "test").load(0).frames
    there_and_back = torch.cat([frames, frames.flip(0)[1:-1]])
    solver, by_frames, by_side = CameraSolver(), {}, {}
    for count in (6, 6, 12, 24, 48, 94, 188, 1000):
        clip = there_and_back.repeat(-(-count // len(there_and_back)), 1, 1, 1)[:count]
        by_frames[str(count)] = cpu_seconds(lambda clip=clip: solver.solve(clip))
    model = load_video_model(None, torch.device("cpu"))
    scene = model.reconstruct(frames[:12], refine_iterations=0).scene
    view = scene.cameras.select([4])
    for side in (64, 64, 128, 192, 256, 384, 512):
        size = (side * 4 // 3, side)
        by_side[str(side)] = cpu_seconds(lambda size=size: [model.render(scene, view, size) for _ in range(3)]) / 3
    return {"frames": by_frames, "side": by_side}


def measure(name: str) -> dict[str, Any]:
    """One process.

    Args:
        name: of the measurement.
    """
    import torch

    torch.set_num_threads(1)
    rows = list(ROWS)
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "feed_forward": lambda: {rows[0]: cameras(0, 5)},
        "refined": lambda: {rows[1]: cameras(REFINE_STEPS, 3)},
    }
    if name in work:
        return work[name]()
    return globals()[name]()
