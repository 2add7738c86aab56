"""The order of images, and the times at which they were taken."""

import random
from pathlib import Path

import pytest
from PIL import Image

from video_ae.videos.image_folder import ImageFolderReader
from video_ae.videos.natural_order import natural_order
from video_ae.videos.time_stamps import time_stamps


@pytest.mark.parametrize(
    "names",
    [
        ["frame1.png", "frame2.png", "frame10.png"],
        ["1548266466.15.png", "1548266466.2.png", "1548266466.25.png", "1548266466.3.png", "1548266467.png"],
        ["rgb_9.5.png", "rgb_10.05.png", "rgb_10.5.png"],
        ["shot1.9.png", "shot1.10.png", "shot2.1.png"],  # counts within a shot
        ["v1.2.3.png", "v1.2.10.png", "v1.10.1.png"],
        ["clip2.3gp", "clip10.3gp"],
        ["2024.01.05.png", "2024.01.10.png", "2024.10.01.png"],
        ["1.175304.png", "1.2053.png", "1.205400.png"],
        ["a/2.png", "a/10.png", "b/1.png"],
    ],
)
def test_numbers_are_compared_as_numbers(names: list[str]) -> None:
    shuffled = random.Random(0).sample(names, len(names))
    assert natural_order(shuffled, lambda name: name) == names


def write(folder: Path, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / name)


def test_images_named_by_float_seconds_do_not_fold_back(tmp_path: Path) -> None:
    names = [f"{round(1548266466 + 0.05 * number, 2)}.png" for number in range(4, 30)]
    write(tmp_path, names)
    reader = ImageFolderReader(tmp_path)
    assert [file.name for file in reader.files] == names
    assert reader.read(range(26))[:, 0, 0, 0].tolist() == list(range(26))
    assert reader.start == pytest.approx(1548266466.2)
    assert reader.times.tolist() == pytest.approx([0.05 * number for number in range(26)], abs=1e-6)


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (["1403636579763555584.png", "1403636579813555456.png"], [1403636579.763555584, 1403636579.813555456]),
        (["1305031102175304.png", "1305031102211214.png"], [1305031102.175304, 1305031102.211214]),
        (["0.033.png", "0.066.png"], [0.033, 0.066]),
        (["1.01.png", "1.02.png"], None),  # may be the first and second of 1
        (["1.png", "2.png"], None),
        (["20240105101530.png", "20240105101531.png"], None),
        (["frame1548266466.2.png", "frame1548266466.3.png"], None),
    ],
)
def test_times_of_names(tmp_path: Path, names: list[str], times: list[float] | None) -> None:
    assert time_stamps(tmp_path, [tmp_path / name for name in names]) == (times and pytest.approx(times, abs=1e-6))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("rgb.txt", "# timestamp filename\n0.5 rgb/b.png\n1.5 rgb/a.png\n9 rgb/c.png\n"),
        ("rgb/timestamps.txt", "b.png 0.5\na.png 1.5\nc.png 9\n"),
        ("data.csv", "\ufeff#timestamp [ns],filename\n500000000,b.png\n1500000000,a.png\n9000000000,c.png\n"),
    ],
)
def test_a_list_of_time_stamps_beside_them_wins(tmp_path: Path, place: str, text: str) -> None:
    write(tmp_path / "rgb", ["a.png", "b.png", "c.png"])
    (tmp_path / place).write_text(text, encoding="utf-8")
    reader = ImageFolderReader(tmp_path / "rgb")
    assert [file.stem for file in reader.files] == ["b", "a", "c"]
    assert reader.times[2] / reader.times[1] == pytest.approx(8.5)


@pytest.mark.parametrize("text", ["0.5 b.png", "1 a.png\n1 b.png", "noon a.png\nnoon b.png", "1\n2\n3", "nan\nnan"])
def test_a_list_that_does_not_fit_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path, ["a.png", "b.png"])
    (tmp_path / "timestamps.txt").write_text(text)
    reader = ImageFolderReader(tmp_path)
    assert [file.stem for file in reader.files] == ["a", "b"]
    assert reader.times.isnan().all()
    assert reader.start == 0


def test_times_alone_belong_to_the_images_in_natural_order(tmp_path: Path) -> None:
    write(tmp_path / "image_2", ["000009.png", "000010.png"])
    (tmp_path / "times.txt").write_text("0.000000e+00\n1.036224e-01\n")
    assert ImageFolderReader(tmp_path / "image_2").times.tolist() == pytest.approx([0, 0.1036224])


def test_dates_are_times(tmp_path: Path) -> None:
    """As beside the images of KITTI's raw recordings, with nine digits behind the point."""
    write(tmp_path / "data", ["0000000000.png", "0000000001.png", "0000000002.png"])
    second = "2011-09-26 13:02:{:012.9f}\n"
    (tmp_path / "timestamps.txt").write_text("".join(second.format(25.951199337 + 0.103 * n) for n in range(3)))
    reader = ImageFolderReader(tmp_path / "data")
    assert reader.start == pytest.approx(1317042145.951199, abs=1e-5)  # date -u -d '2011-09-26 13:02:25' +%s
    assert reader.times.tolist() == pytest.approx([0, 0.103, 0.206], abs=1e-5)


@pytest.mark.parametrize(
    ("lines", "step"),
    [
        (["a.png 2024-05-01T10:00:00Z", "b.png 2024-05-01T12:00:01+02:00"], 1),
        (["2024-05-01T10:00:00.25,a.png", "2024-05-01T10:00:00.75,b.png"], 0.5),
        (["a.png 2024-13-01 10:00:00", "b.png 2024-13-01 10:00:01"], None),  # no month
    ],
)
def test_dates_beside_names(tmp_path: Path, lines: list[str], step: float | None) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    (tmp_path / "timestamps.txt").write_text("\n".join(lines))
    times = time_stamps(tmp_path, files)
    assert (times and times[1] - times[0]) == step
