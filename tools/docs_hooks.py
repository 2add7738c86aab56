"""What mkdocs changes in a page before it becomes HTML (see mkdocs.yml)."""

import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Without HTML comments: Python-Markdown takes a table that follows one directly for a part of it."""
    return re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)
