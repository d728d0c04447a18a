"""Sessions end with time, with the key, and at the door."""

import pytest

from mien.core.errors import UnauthorisedError
from mien.server.api_keys import ApiKeys
from mien.web.sessions import IDLE_S, LONGEST_S, Sessions


class Clock:
    """Seconds that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keys(tmp_path):
    return ApiKeys(tmp_path / "keys.json")


@pytest.fixture
def key(keys):
    return keys.create("one", scopes=("search",))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(keys, clock):
    return Sessions(keys, clock=clock)


def test_a_key_opens_a_session_and_its_token_finds_it(sessions, key):
    token = sessions.begin(f" {key[1]}\n")
    assert sessions.find(token).key_id == key[0].key_id
    assert sessions.find(token + "x") is None


def test_a_wrong_key_opens_nothing(sessions):
    with pytest.raises(UnauthorisedError, match="the API key is not valid"):
        sessions.begin("mien_00000000_no")
    assert len(sessions) == 0


def test_a_session_ends_when_nothing_is_asked(sessions, key, clock):
    token = sessions.begin(key[1])
    clock.now += IDLE_S - 1
    assert sessions.find(token)
    clock.now += IDLE_S + 1
    assert sessions.find(token) is None


def test_a_session_ends_after_its_longest_time_however_busy(sessions, key, clock):
    token = sessions.begin(key[1])
    while clock.now < LONGEST_S - IDLE_S / 2:
        clock.now += IDLE_S / 2
        assert sessions.find(token)
    clock.now = LONGEST_S + 1
    assert sessions.find(token) is None


def test_a_revoked_key_ends_its_sessions(sessions, key, keys):
    token = sessions.begin(key[1])
    keys.revoke(key[0].key_id)
    assert sessions.find(token) is None
    with pytest.raises(UnauthorisedError, match="no longer logged in"):
        sessions.require(key[0].key_id)


def test_nothing_that_opens_a_session_is_kept(sessions, key):
    token = sessions.begin(key[1])
    kept = repr(vars(sessions)["_open"])
    assert token not in kept
    assert key[1] not in kept


def test_logging_out_ends_one_session_only(sessions, key):
    one, other = sessions.begin(key[1]), sessions.begin(key[1])
    sessions.end(one)
    assert sessions.find(one) is None
    assert sessions.find(other)
