"""What the API reference needs of docstrings beyond Google style (see mkdocs.yml): doctests and shared descriptions."""

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1\S.*)*", re.MULTILINE)
_SHARED = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)+):( .*(?:\n {8}.*)*)", re.MULTILINE)


class PlainDocstrings(griffe.Extension):
    """Rewrites docstrings for griffe and Markdown. The files stay as they are."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of an object that griffe has just read.

        Args:
            obj: a module, class, function or attribute.
        """
        if obj.docstring:
            obj.docstring.value = fenced(one_name_a_line(obj.docstring.value))


def fenced(docstring: str) -> str:
    """A docstring with fences around its doctests: Markdown takes `>>>` for a quotation.

    Args:
        docstring: without indentation.
    """
    return _DOCTEST.sub(lambda match: f"\n{match[1]}```python\n{match[0]}\n{match[1]}```", docstring)


def one_name_a_line(docstring: str) -> str:
    """A docstring whose sections have one name an entry: `a, b: text` becomes `a: text` and `b: text`.

    Args:
        docstring: without indentation.

    >>> print(one_name_a_line("Args:\\n    a, b: two\\n        numbers.\\n    c: one."))
    Args:
        a: two
            numbers.
        b: two
            numbers.
        c: one.
    """  # noqa: D410, D411
    return _SHARED.sub(lambda match: "\n".join(f"    {one}:{match[2]}" for one in match[1].split(", ")), docstring)
