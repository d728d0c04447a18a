"""Sealed rows open where they were sealed, with the key they were sealed with, and nowhere else."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import IntegrityError, RefusedError
from mien.core.keys import Key
from mien.gallery.vault import NONCE_BYTES, TAG_BYTES, Vault, unwrap

STORE = "5" * 32
KEY = Key(b"k" * 32, "a test")
VAULT = Vault(b"d" * 32, STORE)
PLACE = ("face", "f1", "p1")

texts = st.text(max_size=40)


@given(plain=st.binary(max_size=200), place=st.lists(texts, min_size=1, max_size=3))
def test_what_was_sealed_opens_in_its_place(plain, place):
    sealed = VAULT.seal(plain, *place)
    assert VAULT.open(sealed, *place) == plain
    assert len(sealed) == len(plain) + NONCE_BYTES + 16


@given(st.recursive(texts | st.integers() | st.none(), lambda x: st.dictionaries(texts, x)))
def test_json_comes_back(value):
    assert VAULT.open_json(VAULT.seal_json(value, "x"), "x") == value


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("face", "f2", "p1"),
        ("face", "f1", "p2"),
        ("vector", "f1", "p1"),
        ("face", "f1"),
        ("face", "f1p1"),
        ("face", "f1", "p1", ""),
    ],
)
def test_a_row_that_was_moved_does_not_open(elsewhere):
    sealed = VAULT.seal(b"secret", *PLACE)
    with pytest.raises(IntegrityError, match=f"kind '{elsewhere[0]}' does not open; .*moved by"):
        VAULT.open(sealed, *elsewhere)


@pytest.mark.parametrize(
    "other", [Vault(b"e" * 32, STORE), Vault(b"d" * 32, "6" * 32), Vault.new(STORE)]
)
def test_another_gallery_cannot_open_it(other):
    with pytest.raises(IntegrityError):
        other.open(VAULT.seal(b"secret", *PLACE), *PLACE)
    assert other.tag("name", "Ada") != VAULT.tag("name", "Ada")


def test_any_changed_or_missing_byte_is_found():
    sealed = VAULT.seal(b"secret", *PLACE)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << at % 8
        for damaged in (bytes(changed), sealed[:at]):
            with pytest.raises(IntegrityError):
                VAULT.open(damaged, *PLACE)


def test_nothing_is_sealed_twice_alike():
    assert len({VAULT.seal(b"secret", "x")[:NONCE_BYTES] for _ in range(500)}) == 500
    assert b"secret" not in VAULT.seal(b"secret", "x")


def test_a_tag_finds_its_text_again_and_tells_nothing():
    tag = VAULT.tag("name", "Ada")
    assert tag == VAULT.tag("name", "Ada")
    assert len(tag) == TAG_BYTES
    others = [VAULT.tag("digest", "Ada"), VAULT.tag("name", "ada"), VAULT.tag("nam", "eAda")]
    assert tag not in others


def test_the_error_names_the_place_and_no_content():
    with pytest.raises(IntegrityError) as caught:
        VAULT.open(VAULT.seal(b"secret", "person", "p1"), "person", "p2")
    assert caught.value.facts == {"place": "person:p2"}
    assert "secret" not in str(caught.value)


def test_the_data_key_comes_back_from_its_wrapping():
    wrapped = VAULT.wrapped(KEY)
    sealed = VAULT.seal(b"secret", *PLACE)
    assert unwrap(wrapped, KEY, STORE).open(sealed, *PLACE) == b"secret"
    assert wrapped != VAULT.wrapped(KEY)
    assert base64.b64encode(b"d" * 32).decode()[:40] not in wrapped


def test_another_key_is_named_and_refused():
    other = Key(b"o" * 32, "the file other.key")
    with pytest.raises(RefusedError, match=f"sealed with the key {KEY.id}.*other.key") as caught:
        unwrap(VAULT.wrapped(KEY), other, STORE)
    assert caught.value.facts == {"needed": KEY.id, "given": other.id}


def _with(text: str, **changes: object) -> str:
    return json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"key": 1}',
        _with(VAULT.wrapped(KEY), wrapped="AAAA"),
        _with(VAULT.wrapped(KEY), wrapped=None),
        _with(VAULT.wrapped(KEY), wrapped="not base64"),
        _with(VAULT.wrapped(KEY), wrapped=base64.b64encode(bytes(60)).decode()),
    ],
)
def test_a_damaged_wrapping_is_said_to_be_damaged(text):
    with pytest.raises(IntegrityError, match="the gallery's own key is damaged; .*backup"):
        unwrap(text, KEY, STORE)


def test_a_wrapping_of_another_gallery_is_damaged():
    with pytest.raises(IntegrityError, match="own key is damaged"):
        unwrap(VAULT.wrapped(KEY), KEY, "6" * 32)


@pytest.mark.parametrize(
    ("sealed", "place"), [(b"x" * 50, ("face", 7)), (None, ("face",)), (3, ())]
)
def test_what_is_no_text_or_blob_any_more_is_damaged(sealed, place):
    with pytest.raises(IntegrityError, match="does not open"):
        VAULT.open(sealed, *(place or ("face",)))
