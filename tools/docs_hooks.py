"""What mkdocs changes in a page before it becomes HTML, and the pages of the API reference (see mkdocs.yml)."""

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Without HTML comments: Python-Markdown takes a table that follows one directly for a part of it.

    Args:
        markdown: the text of a page.
    """
    return re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """The pages of docs/ and, beside them, one page of the reference for each folder of the package.

    Args:
        files: what mkdocs found in docs/.
        config: of mkdocs.
    """
    for folder in rooms():
        page = File.generated(config, f"reference/{folder.name}.md", content=reference(folder))
        files.append(page)
    return files


def rooms() -> list[Path]:
    """The package itself and its folders with modules in them."""
    package = ROOT / "video_ae"
    return [package, *sorted(path.parent for path in package.glob("*/__init__.py"))]


def reference(folder: Path) -> str:
    """The page of a folder: what mkdocstrings shows of each of its modules that has something public.

    Args:
        folder: the package or one of its folders.
    """
    found = folder.glob("*.py") if folder.name == "video_ae" else folder.rglob("*.py")
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(found) if public(path)]
    directives = "\n".join(f"::: {name.removesuffix('.__init__')}\n" for name in names)
    return f"# {'.'.join(folder.relative_to(ROOT).parts)}\n\n{directives}"


def public(path: Path) -> bool:
    """Whether a module defines a function or class without an underscore.

    Args:
        path: a Python file.
    """
    kinds = (ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) and node.name[0] != "_" for node in ast.parse(path.read_text()).body)
