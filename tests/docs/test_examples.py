"""Every example in the documentation that begins with ``>>>`` runs, and prints what it says.

Three dots in what is printed stand for anything.
"""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WITH_EXAMPLES = [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))]


def examples_of(page: Path) -> str:
    """A page as doctest wants it: code blocks at their lines, all else empty."""
    text = page.read_text(encoding="utf-8")
    kept = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        lines = block[1].splitlines()
        kept[first : first + len(lines)] = lines
    return "\n".join(kept)


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_of_the_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(examples_of(page), {}, page.name, str(page), 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    failures = runner.run(test, out=said.append).failed
    assert failures == 0, "".join(said)


def test_pages_with_examples_are_found():
    names = {page.name for page in WITH_EXAMPLES}
    assert {"identify-people.md", "thresholds-and-calibration.md", "errors.md"} <= names


def test_no_prompt_stands_outside_a_tested_block():
    strays = [page for page in PAGES if ">>> " in BLOCK.sub("", page.read_text(encoding="utf-8"))]
    assert strays == []
