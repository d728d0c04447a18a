"""Running the command line inside the test process."""

import json
from typing import Any, NamedTuple

import pytest

from mien.cli.app import run


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines; anything else there is a failure."""
        return [json.loads(line) for line in self.out.splitlines()]


class Mien:
    """Calls ``mien ARGUMENTS`` and gives the exit code and both streams."""

    def __init__(self, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: object) -> Answer:
        self._monkeypatch.setattr("sys.argv", ["mien", *map(str, arguments)])
        self._capfd.readouterr()
        code: object = 0
        try:
            run()
        except SystemExit as end:
            code = end.code
        out, err = self._capfd.readouterr()
        return Answer(int(str(code or 0)), out, err)
