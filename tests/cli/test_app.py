"""What all commands share."""

import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli import app as module
from mien.core.errors import InternalError

COMMANDS = [
    "demo", "enrol", "identify", "verify", "embed", "watch", "cluster", "calibrate", "evaluate",
    "gallery", "doctor",
]  # fmt: skip


def test_help_names_every_command(mien):
    answer = mien("--help")
    assert answer.code == 0
    assert all(f" {command} " in answer.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(mien, command):
    answer = mien(command, "--help")
    assert answer.code == 0
    assert "Usage" in answer.out


def test_the_version_is_shown(mien):
    from importlib.metadata import version

    assert mien("--version").out.strip() == f"mien {version('mien')}"


def test_an_unknown_option_is_code_two(mien):
    assert mien("verify", "--nonsense").code == 2


def test_errors_are_three_lines_on_stderr(mien, tmp_path):
    answer = mien("gallery", "list", "-g", tmp_path / "none")
    assert answer.out == ""
    first, second, third = answer.err.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("  why:  ")
    assert third.startswith("  mend: ")


def test_our_own_bugs_ask_for_a_report(mien, monkeypatch):
    def fail():
        raise InternalError(what="a", why="b", mend="c")

    monkeypatch.setattr(module, "app", fail)
    answer = mien("doctor")
    assert answer.code == 70
    assert "please report it" in answer.err


def test_interruption_is_quiet(mien, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "app", interrupt)
    answer = mien("doctor")
    assert answer.code == 130
    assert "Traceback" not in answer.err


def test_the_command_is_installed():
    command = Path(sys.executable).with_name("mien")
    done = subprocess.run([command, "doctor", "--json"], capture_output=True, check=True)
    assert done.stdout.startswith(b"{")
