"""The page of the command line says what the commands say."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_commands_print():
    script = runpy.run_path(str(ROOT / "docs" / "make_cli_page.py"))
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert page == script["make_page"](), "run: python docs/make_cli_page.py"


def test_every_command_has_a_section():
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for words in ("mien identify", "mien verify", "mien gallery delete", "mien evaluate recognition"):
        assert f"\n## {words}\n" in page
