"""Every module has its test, every system its rooms."""

from pathlib import Path

import pytest

from mien.catalogue import CATALOGUE, load
from mien.core.errors import MissingError

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/mien"
# Modules that only declare, or are tested through their neighbours; each with the reason.
EXEMPT = {
    "core/log.py": "one line",
    "faces/engines/protocol.py": "declares",
    "faces/embed/protocol.py": "declares",
    "gallery/index.py": "declares; its checks are tested by the contract of all stores",
    "systems/recognition/card.py": "declares",
    "catalogue.py": "tested here",
    "cli/app.py": "tested by every test of the command line",
}


def mirrors(module: Path) -> list[Path]:
    inside = module.relative_to(SOURCE)
    direct = ROOT / "tests" / inside.parent / f"test_{module.stem}.py"
    above = ROOT / "tests" / inside.parent.parent
    name = inside.parent.name
    return [direct, above / f"test_{name}_{module.stem}.py", above / f"test_{name}.py"]


def test_every_module_has_a_test_of_its_own():
    modules = [
        path
        for path in SOURCE.rglob("*.py")
        if not path.name.startswith("_") and path.relative_to(SOURCE).as_posix() not in EXEMPT
    ]
    missing = [
        path.relative_to(SOURCE).as_posix()
        for path in modules
        if not any(mirror.exists() for mirror in mirrors(path))
    ]
    assert missing == []


def test_every_exemption_is_still_needed():
    assert [name for name in EXEMPT if not (SOURCE / name).is_file()] == []


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_system_of_the_catalogue_loads_and_has_a_card(entry):
    card = load(entry.name, "card")
    assert (entry.name, entry.summary, entry.extra) == (card.NAME, card.SUMMARY, card.EXTRA)


def test_unknown_system_is_named_with_the_known_ones():
    with pytest.raises(MissingError, match="no system 'astrology'; mien has recognition"):
        load("astrology")


def test_no_path_of_a_machine_is_in_the_repository():
    marks = ["/" + "work/", "/" + "root/"]
    texts = [
        path
        for folder in ("src", "tests", "docs", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".toml", ".json", ".html"}
    ]
    guilty = [path for path in texts if any(mark in path.read_text() for mark in marks)]
    assert guilty == []
