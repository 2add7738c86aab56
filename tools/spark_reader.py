"""Gaussians as Spark reads them (github.com/sparkjsdev/spark), a renderer on three.js, in the system's Chromium.

Needs `npm install @sparkjsdev/spark@2.2.0 three@0.187.0` in a folder, `pip install -e '.[browser]'` and Chromium.
"""

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import plyfile
from playwright.sync_api import sync_playwright

_SH_DEGREE_0 = 0.28209479177387814
_COLUMNS = [
    "x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3", "opacity", "f_dc_0", "f_dc_1",
    "f_dc_2",
]  # fmt: skip
_PAGE = """<!doctype html><script type="importmap">{"imports": {
  "three": "./node_modules/three/build/three.module.js", "three/addons/": "./node_modules/three/examples/jsm/",
  "@sparkjsdev/spark": "./node_modules/@sparkjsdev/spark/dist/spark.module.js"}}</script>
<script type="module">
  import {SplatMesh} from "@sparkjsdev/spark";
  window.read = async (name) => {
    const fileBytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
    const mesh = new SplatMesh({fileBytes, fileName: name, extSplats: true});
    await mesh.initialized;
    const rows = [];
    (mesh.extSplats ?? mesh.packedSplats).forEachSplat((i, c, s, q, opacity, color) =>
      rows.push(c.x, c.y, c.z, s.x, s.y, s.z, q.w, q.x, q.y, q.z, opacity, color.r, color.g, color.b));
    return JSON.stringify(rows);
  };
</script>"""


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
    page_file, copy = modules / "spark_reader.html", modules / source.name
    page_file.write_text(_PAGE)
    shutil.copy(source, copy)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(modules)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as engine:
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/{page_file.name}")
            page.wait_for_function("window.read !== undefined")
            rows = json.loads(page.evaluate("name => window.read(name)", copy.name))
            browser.close()
    finally:
        server.shutdown()
        page_file.unlink()
        copy.unlink()
    values = np.array(rows).reshape(-1, len(_COLUMNS))  # plain scales, opacities and colours
    means, scales, wxyz, opacity, colors = np.split(values, [3, 6, 10, 11], 1)
    opacity = opacity.clip(1e-4, 1 - 1e-4)
    logits, harmonics = np.log(opacity / (1 - opacity)), (colors - 0.5) / _SH_DEGREE_0
    write_layout(target, means, np.log(scales.clip(1e-12)), wxyz, logits, harmonics)


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
