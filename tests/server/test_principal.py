"""A key covers its scopes and collections, and nothing more."""

import pytest

from mien.core.errors import RefusedError
from mien.server.principal import SCOPES, Principal


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_covers_itself_only(scope):
    who = Principal("00000000", frozenset({scope}), frozenset({"*"}))
    assert [other for other in SCOPES if who.may(other, "any")] == [scope]


def test_a_key_of_one_collection_is_refused_in_another_without_naming_it():
    who = Principal("00000000", frozenset({"search"}), frozenset({"staff"}))
    who.require("search", "staff")
    who.require("search")
    with pytest.raises(RefusedError, match="does not allow 'search' in this collection") as caught:
        who.require("search", "guests")
    assert "guests" not in str(caught.value)
