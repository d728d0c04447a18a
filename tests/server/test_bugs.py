"""A bug is told by kind and place."""

import re

from mien.server.bugs import as_internal


def fail(name, depth=0):
    return fail(name, depth - 1) if depth else {}[name]


def told(depth):
    try:
        fail("Ada Lovelace", depth)
    except KeyError as err:
        return as_internal(err)


def test_kind_and_place_are_kept_and_values_are_not():
    error = told(0)
    assert error.what == "unexpected KeyError"
    assert re.search(r"raised at \S+test_bugs.py:\d+ fail < \S+test_bugs.py:\d+ told$", error.why)
    assert "Ada" not in str(error)


def test_of_a_deep_call_the_innermost_places_are_kept():
    assert told(50).why.count("test_bugs.py") == 12
    assert "told" not in told(50).why.rpartition("raised at")[2]
