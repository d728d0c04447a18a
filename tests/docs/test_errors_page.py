"""The tree of errors on its page is the tree in the code."""

import re
from pathlib import Path

from mien.core import errors

PAGE = Path(__file__).parents[2] / "docs/reference/errors.md"
ROW = re.compile(r"^[│├└─ ]*(\w+Error)\b.*?\s(\w+)\s+(\d{3})\s+(\d+)\b", re.MULTILINE)


def kinds():
    found = [errors.MienError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return {k for k in found if k.__module__ == errors.__name__ and k is not errors.MienError}


def test_every_error_is_drawn_with_its_code_status_and_exit():
    drawn = {row[1]: (row[2], int(row[3]), int(row[4])) for row in ROW.finditer(PAGE.read_text())}
    assert drawn == {k.__name__: (k.code, k.status, k.exit_code) for k in kinds()}


def test_every_exit_code_is_explained():
    explained = set(re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE))
    assert {str(k.exit_code) for k in kinds()} <= explained


def test_every_code_has_a_row_that_the_service_can_point_to():
    anchors = re.findall(r"^\| `(\w+)`\{ #(\w+) \} \|", PAGE.read_text(), re.MULTILINE)
    assert {code for code, _ in anchors} == {k.code for k in kinds()}
    assert all(code == anchor for code, anchor in anchors)
