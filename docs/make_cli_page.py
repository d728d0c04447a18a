"""Write reference/cli.md from the help texts of the commands: ``python docs/make_cli_page.py``.

With ``--check`` nothing is written; the exit code is 1 if the page is stale.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperCommand, TyperGroup

PAGE = Path(__file__).parent / "reference" / "cli.md"
WIDTH = 96
HEAD = """\
# Command line

<!-- Made by docs/make_cli_page.py from the commands' help texts. Do not edit. -->

Results go to stdout, all else to stderr, so that `mien identify party/ --json > found.jsonl` keeps
records only. With `--json` every command writes one JSON object a line. Exit codes are those of the
[errors](errors.md).
"""


def main() -> int:
    """Write the page, or compare it."""
    page = make_page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write("docs/reference/cli.md is stale; run: python docs/make_cli_page.py\n")
    return 1


def make_page() -> str:
    """The page as the commands would have it now."""
    from mien.cli.app import app

    parts = [HEAD]
    for words, text in _help_texts(typer.main.get_command(app), "mien", None):
        parts.append(f"## {words}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _help_texts(command: Any, words: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Every command below one, in the order of its help, with the help that a user sees."""
    command.rich_markup_mode = None  # no frames and colours
    context = command.make_context(
        words.rpartition(" ")[2], [], parent=parent, resilient_parsing=True, **_plain()
    )
    lines = [line.rstrip() for line in command.get_help(context).strip().splitlines()]
    yield words, "\n".join(lines)
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if isinstance(child, (TyperCommand, TyperGroup)):
                yield from _help_texts(child, f"{words} {name}", context)


def _plain() -> dict[str, Any]:
    """Settings that make the text independent of the terminal."""
    return {"terminal_width": WIDTH, "max_content_width": WIDTH, "color": False}


if __name__ == "__main__":
    sys.exit(main())
