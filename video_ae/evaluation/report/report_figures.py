"""The figures of a report, each as text inside the page: SVG for curves, PNG for images."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from video_ae.evaluation.report.records import Strip
from video_ae.scene.rendering import to_image

_WIDTH, _HEIGHT = 4.2, 3.6  # inches of one panel
_TILE = 150  # pixels of height of an image
_ERROR_GAIN = 3.0  # absolute errors are shown this many times brighter


def plot_trajectories(paths: Mapping[str, Mapping[str, Tensor]], main: str) -> str:
    """A panel per clip: all methods' camera centres from above (x to the right, z up), each aligned with the truth.

    Args:
        paths: clip -> method (and "truth") -> centres [frame, 3].
        main: the method that is highlighted.
    """
    figure, panels = _grid(len(paths))
    names = list(dict.fromkeys(name for methods in paths.values() for name in methods))
    for axes, (clip, methods) in zip(panels, paths.items(), strict=False):
        for name, centres in methods.items():
            x, z = centres[:, 0].tolist(), centres[:, 2].tolist()
            axes.plot(x, z, label=name, **_style(name, main, names))  # type: ignore[arg-type]
        axes.plot(*(methods["truth"][:1, i].tolist() for i in (0, 2)), "ko", markersize=4)
        axes.set_title(clip, fontsize=9, parse_math=False)  # names may have dollar signs
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("x, true unit", fontsize=8)
        axes.set_ylabel("z, true unit", fontsize=8)
    return _svg(figure, panels)


def plot_confidence(points: Mapping[str, tuple[Tensor, Tensor]]) -> str:
    """Each frame's confidence against its true error, logarithmic; a colour per clip.

    Args:
        points: clip -> confidence and error over the extent, per frame.
    """
    figure, (axes,) = _grid(1, wide=True)
    for clip, (values, errors) in points.items():
        axes.scatter(values[1:].tolist(), errors[1:].clamp_min(1e-4).tolist(), s=10, label=clip)
    axes.set(yscale="log", xlabel="confidence", ylabel="distance from the truth / extent, Sim(3)")
    return _svg(figure, [axes])


def plot_against_gap(content: Mapping[str, Any]) -> str:
    """Mean error (poses) or PSNR and SSIM (views) against the number of frames between.

    Args:
        content: of `results.json`.
    """
    poses = content["protocol"] == "poses"
    titles = (
        {"rotation_deg": "rotation error, degrees", "translation_direction_deg": "translation direction, degrees"}
        if poses
        else {"psnr": "PSNR, dB", "ssim": "SSIM"}
    )
    figure, panels = _grid(len(titles), columns=2)
    methods = {content["method"]: content} | content["baselines"]
    for axes, (key, title) in zip(panels, titles.items(), strict=False):
        for name, method in methods.items():
            rows = method["mean"].get("pairs", {}) if poses else method["mean"]
            points = [(int(gap), row[key]) for gap, row in rows.items() if row.get(key) is not None]
            if points:
                style = _style(name, content["method"], list(methods))
                axes.plot(*zip(*sorted(points), strict=True), label=name, marker="o", **style)
        axes.set(xlabel="frames apart" if poses else "gap, frames", ylabel=title)
    return _svg(figure, panels)


def strip_image(view: Strip, method: str) -> str:
    """Contexts, target, prediction, absolute error (three times brighter), disparity, as a data URI of a PNG.

    Args:
        view: with the method's prediction.
        method: its name.
    """
    prediction = view.predictions[method]
    error = ((prediction.image - view.target).abs().mean(0, keepdim=True) * _ERROR_GAIN).expand(3, -1, -1)
    tiles = [*view.contexts, view.target, prediction.image, error]
    tiles += [] if prediction.disparity is None else [colour_disparity(prediction.disparity)]
    row = torch.cat([torch.nn.functional.pad(tile, (0, 4), value=1.0) for tile in tiles], -1)
    image = to_image(row)
    image = image.resize((round(image.width * _TILE / image.height), _TILE)) if image.height > _TILE else image
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def colour_disparity(disparity: Float[Tensor, "height width"]) -> Float[Tensor, "3 height width"]:
    """A map in colours: near is bright, far is dark, between its own 2 % and 98 % quantiles.

    Args:
        disparity: inverse depth in any scale.
    """
    values = disparity.detach().float().cpu()
    low, high = values.flatten().quantile(torch.tensor([0.02, 0.98])).tolist()
    shares = ((values - low) / max(high - low, 1e-12)).clamp(0, 1)
    return rearrange(torch.from_numpy(colormaps["magma"](shares.numpy())[..., :3]).float(), "h w c -> c h w")


def _grid(count: int, columns: int = 3, wide: bool = False) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDTH * columns * (1.6 if wide else 1), _HEIGHT * rows + 0.6), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    for axes in panels[:count]:
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    return figure, panels[:count]


def _style(name: str, main: str, names: list[str]) -> dict[str, Any]:
    if name == "truth":
        return {"color": "black", "linewidth": 2.5}
    if name == main:
        return {"color": "tab:red", "linewidth": 1.8, "zorder": 5}
    others = [other for other in names if other not in ("truth", main)]
    return {"color": f"C{(0, 2, 4, 5, 6, 7, 8, 9)[others.index(name) % 8]}", "linewidth": 1, "linestyle": "--"}


def _svg(figure: Figure, panels: list[Axes]) -> str:
    """The figure with a legend of all that its first panel shows."""
    named = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    columns = max(1, int(figure.get_figwidth() // 2))  # names are up to two inches wide
    legend = figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, fontsize=8)
    for name in legend.get_texts():
        name.set_parse_math(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
