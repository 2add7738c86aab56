"""Imports point one way, `import video_ae` is light, and the switch of the shape checker is live."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PACKAGE = Path(__file__).parents[1] / "video_ae"

# A module may import from its own folder and from lower ranks. Folders of one rank do not know each other.
RANKS = {
    "errors": 0, "tensor_records": 0, "registry": 0, "types": 1, "atomic": 1, "compiled": 1, "device": 1,
    "processes": 1, "progress": 1, "steps": 1, "threads": 1,
    "geometry": 2,
    "videos": 3, "structure": 3, "camera": 3, "renderers": 3, "losses": 3,
    "formats": 4, "metrics": 4,
    "scene": 5,
    "models": 6, "datasets": 6,
    "lecture": 7, "pipelines": 7, "training": 7, "evaluation": 7, "preparation": 7,
    "annotation": 8, "viewer": 8, "video_ae": 8,  # the package itself offers `load`
    "cli": 9,
}  # fmt: skip


def folder_of(module: str) -> str:
    """`video_ae.geometry.se3` -> geometry.

    Metrics are pure functions, so they rank below the rest of evaluation, and what writes any file below the formats.
    """
    parts = module.split(".")[1:]
    if parts[:2] in (["evaluation", "metrics"], ["formats", "atomic"]):
        return parts[1]
    return {"__main__": "cli"}.get(parts[0], parts[0]) if parts else "video_ae"


def imports(source: str) -> set[str]:
    """The modules of this package that a file imports, at the top or inside functions; not those for types alone."""
    found = set()
    for node in ast.walk(RunCode().visit(ast.parse(source))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" if is_module(node.module, alias.name) else node.module
                      for alias in node.names}  # fmt: skip
    return {name for name in found if name.split(".")[0] == "video_ae" and name != "video_ae"}


class RunCode(ast.NodeTransformer):
    """Takes out what stands under `if TYPE_CHECKING:`, which no interpreter runs."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node


def is_module(package: str | None, name: str) -> bool:
    path = PACKAGE.parent / str(package).replace(".", "/") / name
    return path.is_dir() or path.with_suffix(".py").is_file()


def modules() -> dict[str, set[str]]:
    """Module name -> what it imports, for the whole package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = imports(path.read_text())
    return found


def upward(graph: dict[str, set[str]]) -> list[str]:
    """The imports that go against the arrow."""
    wrong = []
    for module, targets in graph.items():
        for target in targets:
            here, there = folder_of(module), folder_of(target)
            if here != there and RANKS[there] >= RANKS[here]:
                wrong.append(f"{module} -> {target}")
    return wrong


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or nothing."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for target in sorted(graph.get(module, ())):
            if found := walk(target, [*way, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := walk(module, []))), [])


def test_imports_point_one_way():
    assert upward(modules()) == []


def test_no_module_imports_itself_through_others():
    assert cycle(modules()) == []


def test_every_folder_has_a_rank():
    assert {folder_of(module) for module in modules()} - {"weights"} <= RANKS.keys()


def test_losses_and_metrics_know_no_model():
    graph = modules()
    assert not [name for name in graph if folder_of(name) in ("losses", "metrics") and any(map(is_model, graph[name]))]


def is_model(module: str) -> bool:
    return folder_of(module) == "models"


@pytest.mark.parametrize(
    "line",
    ["from video_ae.models.base import Autoencoder", "import video_ae.cli", "from video_ae import training",
     "def f():\n    from video_ae.evaluation import run"],
)  # fmt: skip
def test_an_upward_import_is_caught(line):
    graph = modules() | {"video_ae.geometry.made_up": imports(line)}
    assert len(upward(graph)) == 1


def test_an_import_for_types_alone_counts_only_where_it_is_run():
    lines = "if TYPE_CHECKING:\n    import video_ae.cli\nelse:\n    import video_ae.models.base"
    assert imports(lines) == {"video_ae.models.base"}


def test_a_circle_is_caught():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}}
    assert cycle(graph) == ["b", "c", "b"]


def test_importing_the_package_is_light():
    script = (
        "import sys, video_ae; print(len({'torch', 'numpy', 'numba', 'av', 'kornia', 'lightning'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "0"


def test_shape_checks_are_live():
    from video_ae.evaluation.metrics.images import psnr

    with pytest.raises(Exception, match="height"):
        psnr(torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 5, 4))


def test_no_two_modules_have_one_name():
    names = [path.stem for path in PACKAGE.rglob("*.py") if path.stem not in ("__init__", "base", "open")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_the_camera_folder_reads_in_the_order_that_its_page_lists():
    page = (PACKAGE / "camera" / "__init__.py").read_text()
    order = re.findall(r"\w+", " ".join(re.findall(r"^\* ([\w, ]+):", page, re.MULTILINE)))
    assert sorted(order) == sorted(path.stem for path in (PACKAGE / "camera").glob("[!_]*"))
    for module, targets in modules().items():
        if module.startswith("video_ae.camera."):
            name, *needed = (one.split(".")[2] for one in (module, *targets) if one.startswith("video_ae.camera."))
            needed = [other for other in needed if other != name]
            assert all(order.index(other) < order.index(name) for other in needed), f"{name} needs {needed}"


def decorated(tree: ast.AST, decorator: str) -> list[ast.FunctionDef]:
    """The functions of a file under a decorator without arguments."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [one for one in functions if any(ast.unparse(mark) == decorator for mark in one.decorator_list)]


def test_what_kernels_call_becomes_a_part_of_them():
    """Else the process that compiles has two copies of a loop and adds in another order than those that load it."""
    files = [path for path in PACKAGE.rglob("*.py") if not path.name.startswith("gaussian")]
    trees = [ast.parse(path.read_text()) for path in files]
    kernels = [one for tree in trees for one in decorated(tree, "kernel")]
    callers = [*kernels, *(one for tree in trees for one in decorated(tree, "inlined_kernel"))]
    called = {ast.unparse(node.func) for one in callers for node in ast.walk(one) if isinstance(node, ast.Call)}
    assert len(callers) > 40
    assert not called & {one.name for one in kernels}
