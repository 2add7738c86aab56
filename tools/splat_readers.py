"""Gaussians as the renderers of others read them, in the system's Chromium: Spark (github.com/sparkjsdev/spark), and of
glTF PlayCanvas' engine and three.js.

Needs `npm install @sparkjsdev/spark@2.2.0 three@0.187.0 playcanvas@2.23.3` in a folder, `pip install -e '.[browser]'`
and Chromium.
"""

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import plyfile
import torch
from playwright.sync_api import sync_playwright

from video_ae.geometry.se3 import quaternion_from_rotation

GRAPHICS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # without a GPU
LONGEST_WAIT = 300  # seconds until a page's modules are there
_SH_DEGREE_0 = 0.28209479177387814
_HALF_TURN = np.array([-1.0, -1.0, 1.0])  # about z: as docs/exports.md says, glTF's y points up
_COLUMNS = [
    "x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3", "opacity", "f_dc_0", "f_dc_1",
    "f_dc_2",
]  # fmt: skip
_WEBGL, _WEBGPU = (
    "three.module.js",
    "three.webgpu.js",
)  # builds of three.js: Spark needs the first, glTF's reader the other
_PAGE = """<!doctype html><canvas id="canvas"></canvas>
<script>addEventListener("error", (event) => window.failure = event.message);</script>
<script type="importmap">{"imports": {
  "three": "./node_modules/three/build/BUILD", "three/webgpu": "./node_modules/three/build/three.webgpu.js",
  "three/tsl": "./node_modules/three/build/three.tsl.js", "three/addons/": "./node_modules/three/examples/jsm/",
  "playcanvas": "./node_modules/playcanvas/build/playcanvas.mjs",
  "@sparkjsdev/spark": "./node_modules/@sparkjsdev/spark/dist/spark.module.js"}}</script>
<script type="module">PROGRAM</script>"""
_SPARK = """
  import {SplatMesh} from "@sparkjsdev/spark";
  window.read = async (name) => {
    const fileBytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
    const mesh = new SplatMesh({fileBytes, fileName: name, extSplats: true});
    await mesh.initialized;
    const rows = [];
    (mesh.extSplats ?? mesh.packedSplats).forEachSplat((i, c, s, q, opacity, color) =>
      rows.push(c.x, c.y, c.z, s.x, s.y, s.z, q.w, q.x, q.y, q.z, opacity, color.r, color.g, color.b));
    return JSON.stringify(rows);
  };"""
_PLAYCANVAS = """
  import * as pc from "playcanvas";
  const names = ["x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3", "opacity",
                 "f_dc_0", "f_dc_1", "f_dc_2"];
  window.read = async (name) => {
    const app = new pc.Application(document.getElementById("canvas"));
    const asset = await new Promise((done, fail) => app.assets.loadFromUrl(name, "container",
      (error, found) => error ? fail(error) : done(found)));
    const data = asset.resource.gsplats[0].resource.gsplatData;
    if (!data.activated) throw new Error("scales and opacities are not plain");
    const columns = names.map((one) => data.getProp(one)), rows = [];
    for (let i = 0; i < data.numSplats; i++)
      columns.forEach((column, k) => rows.push(k < 11 ? column[i] : 0.5 + 0.28209479177387814 * column[i]));
    return JSON.stringify(rows);
  };"""
_THREE = """
  import {GLTFLoader} from "three/addons/loaders/GLTFLoader.js";
  import {GLTFGaussianSplatLoaderExtension} from "three/addons/loaders/GLTFGaussianSplatLoaderExtension.js";
  window.read = async (name) => {
    const loader = new GLTFLoader().register((parser) => new GLTFGaussianSplatLoaderExtension(parser));
    const found = [];
    (await loader.loadAsync(name)).scene.traverse((one) => one.isGaussianSplat && found.push(one));
    const {position, covariance, color} = found[0].splatGeometry.attributes, rows = [];
    for (let i = 0; i < position.count; i++)
      rows.push(...position.array.slice(3 * i, 3 * i + 3), ...covariance.array.slice(6 * i, 6 * i + 6),
                color.getW(i), color.getX(i), color.getY(i), color.getZ(i));
    return JSON.stringify(rows);
  };"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def read_by_spark(modules: Path, source: Path, target: Path) -> None:
    """Writes what Spark reads as PLY, in the layout of the reference implementation.

    Args:
        modules: the folder with `node_modules`; two files are put there for a while.
        source: a file of Gaussians.
        target: the .ply.
    """
    _write_plain(target, *np.split(_rows(modules, source, _SPARK, 14, _WEBGL), [3, 6, 10, 11], 1))


def read_by_playcanvas(modules: Path, source: Path, target: Path) -> None:
    """Writes what PlayCanvas reads of glTF as PLY, turned back into the world's axes.

    Args:
        modules, source, target: as of `read_by_spark`.
    """
    means, scales, wxyz, opacity, colors = np.split(_rows(modules, source, _PLAYCANVAS, 14), [3, 6, 10, 11], 1)
    w, x, y, z = wxyz.T
    _write_plain(target, means * _HALF_TURN, scales, np.stack([-z, -y, x, w], 1), opacity, colors)


def read_by_three(modules: Path, source: Path, target: Path) -> None:
    """Writes what three.js reads of glTF as PLY, turned back into the world's axes.

    Args:
        modules, source, target: as of `read_by_spark`.
    """
    means, upper, opacity, colors = np.split(_rows(modules, source, _THREE, 13), [3, 9, 10], 1)
    values, axes = np.linalg.eigh(upper[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3))
    rotation = _HALF_TURN[:, None] * axes * np.linalg.det(axes)[:, None, None].round()  # not a reflection
    wxyz = quaternion_from_rotation(torch.from_numpy(rotation)).roll(1, -1).numpy()
    _write_plain(target, means * _HALF_TURN, values.clip(0) ** 0.5, wxyz, opacity, colors)


def _rows(modules: Path, source: Path, program: str, width: int, build: str = _WEBGPU) -> np.ndarray:
    """What a page's function `read` makes of a file, in rows of so many numbers."""
    page_file, copy = modules / "splat_readers.html", modules / source.name
    page_file.write_text(_PAGE.replace("PROGRAM", program).replace("BUILD", build))
    shutil.copy(source, copy)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(modules)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as engine:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = engine.chromium.launch(executable_path=chromium, args=GRAPHICS)
            page = browser.new_page()
            page.set_default_timeout(1000 * LONGEST_WAIT)
            page.goto(f"http://127.0.0.1:{server.server_port}/{page_file.name}")
            page.wait_for_function("window.read !== undefined || window.failure !== undefined")
            if failure := page.evaluate("window.failure"):
                raise RuntimeError(f"The page of the reader does not run: {failure}")
            rows = json.loads(page.evaluate("name => window.read(name)", copy.name))
            browser.close()
    finally:
        server.shutdown()
        page_file.unlink()
        copy.unlink()
    return np.array(rows).reshape(-1, width)


def _write_plain(
    path: Path, means: np.ndarray, scales: np.ndarray, wxyz: np.ndarray, opacity: np.ndarray, colors: np.ndarray
) -> None:
    """As `write_layout`, of plain scales, opacities and colours."""
    opacity = opacity.clip(1e-4, 1 - 1e-4)
    logits, harmonics = np.log(opacity / (1 - opacity)), (colors - 0.5) / _SH_DEGREE_0
    write_layout(path, means, np.log(scales.clip(1e-12)), wxyz, logits, harmonics)


def write_layout(
    path: Path, means: np.ndarray, log_scales: np.ndarray, wxyz: np.ndarray, logits: np.ndarray, harmonics: np.ndarray
) -> None:
    """Writes Gaussians as the reference implementation lays them out, by plyfile.

    Args:
        path: the .ply.
        means, log_scales, wxyz, logits, harmonics: a row each Gaussian.
    """
    values = np.concatenate([means, log_scales, wxyz, np.reshape(logits, (-1, 1)), harmonics], 1)
    rows = np.array([tuple(row) for row in values], [(name, "f4") for name in _COLUMNS])
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(str(path))
