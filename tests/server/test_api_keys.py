"""Only a whole, valid key lets in; the file gives no key away."""

import hmac
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from mien.core.errors import (
    IdentityMissingError,
    InputError,
    IntegrityError,
    RefusedError,
    StorageError,
    UnauthorisedError,
)
from mien.server import _key_file, api_keys
from mien.server.api_keys import ApiKeys
from mien.server.principal import Principal

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path):
    return ApiKeys(tmp_path / "keys.json", now=lambda: START)


def test_a_new_key_is_let_in_with_its_scopes(keys):
    key, text = keys.create("door", scopes=["search", "detect"], collections=["staff"])
    assert keys.check(text) == Principal(
        key.key_id, frozenset({"search", "detect"}), frozenset({"staff"})
    )
    assert text.startswith(f"mien_{key.key_id}_")


def test_the_secret_is_not_in_the_file_and_the_file_is_private(keys):
    _, text = keys.create("door", scopes=["search"])
    secret = text.split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in keys.path.read_text()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


def test_the_list_holds_neither_secret_nor_digest(keys):
    _, text = keys.create("door", scopes=["search"])
    digest = next(iter(json.loads(keys.path.read_text())["keys"].values()))["digest"]
    assert text.split("_", 2)[2] not in repr(keys.list())
    assert digest not in repr(keys.list())


def test_two_keys_of_one_secret_would_have_different_digests():
    assert _key_file.digest_of("00", "x") != _key_file.digest_of("01", "x")


def broken(text):
    yield ""
    yield "mien_"
    yield text[:-1]
    yield text + "A"
    yield text.upper()
    yield text[:-1] + ("A" if text[-1] != "A" else "B")
    yield "mien_00000000_" + text.split("_", 2)[2]
    yield text + "\n"
    yield " " + text
    yield text.replace("mien", "mìen")


def test_nothing_but_the_key_itself_is_let_in(keys):
    _, text = keys.create("door", scopes=["search"])
    for wrong in broken(text):
        with pytest.raises(UnauthorisedError, match="the API key is not valid"):
            keys.check(wrong)


def test_every_secret_is_compared_in_constant_time_whether_or_not_the_id_is_known(
    keys, monkeypatch
):
    _, text = keys.create("door", scopes=["search"])
    compared = []

    def compare(a, b):
        compared.append((len(a), len(b)))
        return original(a, b)

    original = hmac.compare_digest
    monkeypatch.setattr(api_keys.hmac, "compare_digest", compare)
    for wrong in ("mien_00000000_" + "A" * 43, text[:-4] + "AAAA", "no key at all"):
        with pytest.raises(UnauthorisedError):
            keys.check(wrong)
    assert compared == [(64, 64)] * 3


def test_a_revoked_key_is_not_let_in_and_stays_listed(keys):
    key, text = keys.create("door", scopes=["search"])
    assert keys.revoke(key.key_id).disabled
    with pytest.raises(UnauthorisedError, match="was revoked"):
        keys.check(text)
    assert [k.key_id for k in keys.list()] == [key.key_id]


def test_who_does_not_hold_the_secret_is_not_told_that_a_key_was_revoked(keys):
    key, _ = keys.create("door", scopes=["search"])
    keys.revoke(key.key_id)
    with pytest.raises(UnauthorisedError, match="is not valid"):
        keys.check(f"mien_{key.key_id}_{'A' * 43}")


def test_a_key_ends_at_its_time(tmp_path):
    now = [START]
    keys = ApiKeys(tmp_path / "keys.json", now=lambda: now[0])
    _, text = keys.create("guest", scopes=["search"], expires=START + timedelta(hours=1))
    keys.check(text)
    now[0] += timedelta(hours=1)
    with pytest.raises(UnauthorisedError, match="has expired"):
        keys.check(text)


def test_a_key_made_or_revoked_by_another_process_is_seen_at_once(keys):
    other = ApiKeys(keys.path, now=lambda: START)
    key, text = other.create("door", scopes=["search"])
    assert keys.check(text).key_id == key.key_id
    other.revoke(key.key_id)
    with pytest.raises(UnauthorisedError):
        keys.check(text)


def test_two_processes_do_not_lose_each_others_keys(keys):
    other = ApiKeys(keys.path, now=lambda: START)
    keys.create("a", scopes=["search"])
    other.create("b", scopes=["search"])
    keys.create("c", scopes=["search"])
    assert [k.name for k in other.list()] == ["a", "b", "c"]


def test_without_a_file_nobody_is_let_in(keys):
    _, text = keys.create("door", scopes=["search"])
    keys.path.unlink()
    with pytest.raises(UnauthorisedError):
        keys.check(text)


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 3}', '{"keys": {"a": {}}}', "{"])
def test_a_damaged_file_lets_nobody_in(keys, text):
    _, presented = keys.create("door", scopes=["search"])
    keys.path.write_text(text)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="is not a file of API keys"):
            keys.check(presented)


def test_a_file_that_others_may_write_is_not_trusted(keys):
    keys.create("door", scopes=["search"])
    keys.path.chmod(0o666)
    with pytest.raises(RefusedError, match="others than its owner may write"):
        ApiKeys(keys.path)


def test_an_unknown_key_cannot_be_revoked(keys):
    with pytest.raises(IdentityMissingError, match="no API key of this id"):
        keys.revoke("00000000")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scopes": ["root"]}, "unknown scope 'root'"),
        ({"scopes": []}, "no scope was given"),
        ({"name": ""}, "1 to 64 printable"),
        ({"name": "a\nb"}, "1 to 64 printable"),
        ({"collections": []}, "would open nothing"),
        ({"collections": [""]}, "a collection is never empty"),
        ({"expires": START}, "in the past"),
        ({"expires": datetime(2031, 1, 1)}, "no known time zone"),
    ],
)
def test_keys_that_make_no_sense_are_not_made(keys, change, words):
    with pytest.raises(InputError, match=words):
        keys.create(**({"name": "door", "scopes": ["search"]} | change))
    assert keys.list() == []


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        ApiKeys(tmp_path / "file/keys.json").create("door", scopes=["search"])
