"""docs/faults.md names tests that are there, at least one in every row of its table."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def lacking(page):
    """Tests that the page names and that are not there, and rows that name none."""
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| fault ")]
    assert len(rows) > 30
    found = [row for row in rows if not NAMED.search(row.split(" | ")[-1])]
    for path, name in NAMED.findall(page):
        tree = ast.parse((ROOT / path).read_text() if (ROOT / path).exists() else "")
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            found.append(f"{path}::{name}")
    return found


def test_every_test_is_there():
    page = (ROOT / "docs" / "faults.md").read_text()
    assert lacking(page) == []
    wrong = page.replace("::test_preempted`", "::test_pre_empted`").replace("`tests/faults/test_flips.py::", "`flips ")
    assert [text.split("::")[-1].split(" |")[0] for text in lacking(wrong)] == [
        "| a bit flipped in any kind of file",
        "test_pre_empted",
    ]
