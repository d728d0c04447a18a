"""``mien keys``."""

import pytest


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def test_a_key_is_shown_once_and_kept_as_a_digest(mien, file):
    (row,) = mien("keys", "create", "camera", "--keys", file, "--json").rows()
    assert row["scopes"] == ["detect", "search"]
    assert row["key"].startswith(f"mien_{row['id']}_")
    assert row["key"].split("_", 2)[2] not in file.read_text()
    (listed,) = mien("keys", "list", "--keys", file, "--json").rows()
    assert (listed["name"], listed["collections"], listed["disabled"]) == ("camera", ["*"], False)
    shown = mien("keys", "create", "desk", "--scope", "enrol", "--days", "30", "--keys", file)
    assert shown.out.startswith("mien_")
    assert "until" in mien("keys", "list", "--keys", file).out


def test_a_key_is_revoked(mien, file):
    (row,) = mien("keys", "create", "camera", "--keys", file, "--json").rows()
    assert mien("keys", "revoke", row["id"], "--keys", file).code == 0
    assert "revoked" in mien("keys", "list", "--keys", file).out
    assert mien("keys", "revoke", "00000000", "--keys", file).code == 4


def test_a_scope_that_is_unknown_is_refused(mien, file):
    answer = mien("keys", "create", "camera", "--scope", "everything", "--keys", file)
    assert answer.code == 2
    assert "everything" in answer.err
