import json
import sys
from pathlib import Path

import pytest

from mien.core.errors import ExtraMissingError
from mien.core.optional import is_installed, require


def test_what_is_installed_is_returned() -> None:
    assert require("json", extra="demo") is json
    assert require("os.path", extra="demo").join("a", "b") == str(Path("a", "b"))


def test_what_is_missing_names_the_command() -> None:
    message = r"'no_such_package' cannot be imported .*the extra 'fast'; run: pip install 'mien\[f"
    with pytest.raises(ExtraMissingError, match=message) as caught:
        require("no_such_package", extra="fast")
    assert caught.value.mend == "run: pip install 'mien[fast]'"
    assert caught.value.facts == {"module": "no_such_package", "extra": "fast"}
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_package_that_is_there_but_broken_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_toy.py").write_text("raise ImportError('libtoy.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExtraMissingError, match=r"cannot be imported \(libtoy\.so: cannot open\)"):
        require("broken_toy", extra="fast")


def test_asking_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quiet_toy.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed("quiet_toy")
    assert "quiet_toy" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.part", "json.no_such_part"])
def test_what_is_not_there_is_not_installed(name: str) -> None:
    assert not is_installed(name)


def test_a_module_that_was_blocked_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "json", None)
    assert not is_installed("json")
    with pytest.raises(ExtraMissingError, match="'json' cannot be imported"):
        require("json", extra="demo")
