"""The page of the command line says what the commands say."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## (mien[a-z -]*)\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ |if )?(mien [^#\n;]*)", re.MULTILINE)


def test_the_page_is_what_the_commands_print():
    script = runpy.run_path(str(ROOT / "docs" / "make_cli_page.py"))
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert page == script["make_page"](), "run: python docs/make_cli_page.py"


def test_every_command_has_a_section():
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for words in (
        "mien identify",
        "mien verify",
        "mien gallery delete",
        "mien evaluate recognition",
    ):
        assert f"\n## {words}\n" in page


def test_commands_shown_in_the_documentation_use_options_that_exist():
    help_of = dict(SECTION.findall((ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")))
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    blocks = [block for page in pages for block in FENCE.findall(page.read_text(encoding="utf-8"))]
    shown = {line for block in blocks for line in COMMAND.findall(block)}
    assert len(shown) > 20
    for line in shown:
        words = line.split()
        verb = next(v for n in (4, 3, 2, 1) if (v := " ".join(words[:n])) in help_of)
        strange = [w for w in words if w.startswith("--") and f"{w} " not in help_of[verb]]
        assert strange == [], line
