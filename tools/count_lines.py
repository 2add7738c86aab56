"""Lines of code without docstrings, comments and blank lines, by folder.

python tools/count_lines.py [FOLDER]     # default: video_ae
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

_NO_CODE = (
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
)  # fmt: skip


def lines_of_code(source: str) -> int:
    """How many lines of a file hold code.

    Args:
        source: its text.
    """
    texts = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    strings = [node for node in texts if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]
    documentation = {line for node in strings for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    tokens = (token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in _NO_CODE)
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - documentation)


def main() -> None:
    """Prints the lines of each folder and their sum."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "video_ae")
    counts: Counter[str] = Counter()
    for file in root.rglob("*.py"):
        counts[file.relative_to(root).parts[0]] += lines_of_code(file.read_text())
    for name, count in counts.most_common():
        print(f"{count:6} {name}")
    print(f"{sum(counts.values()):6} in all")


if __name__ == "__main__":
    main()
