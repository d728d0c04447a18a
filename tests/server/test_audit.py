"""The log says what was done, by which key; it says nothing about anybody, and changes need it."""

import json
import stat
import threading
from datetime import UTC, datetime

import pytest

from mien.core.errors import ConflictError, InternalError, StorageError
from mien.server.audit import AuditLog

WHO = {"request_id": "0123456789abcdef", "key_id": "89abcdef", "collection": "staff"}


@pytest.fixture
def log(tmp_path):
    return AuditLog(tmp_path / "audit.jsonl", now=lambda: datetime(2030, 1, 1, tzinfo=UTC))


def lines(log):
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def block(log):
    """Make the log impossible to write."""
    log.path.unlink()
    log.path.mkdir()


def test_a_change_is_written_before_and_after(log):
    with log.change("faces.enrol", **WHO) as counts:
        assert [line["result"] for line in lines(log)] == ["begun"]
        counts["faces"] = 2
    begun, done = lines(log)
    head = {
        "time": "2030-01-01T00:00:00.000+00:00",
        "request": "0123456789abcdef",
        "key": "89abcdef",
        "action": "faces.enrol",
        "collection": "staff",
    }
    assert begun == head | {"result": "begun"}
    assert done.pop("duration_ms") >= 0
    assert done == head | {"result": "ok", "counts": {"faces": 2}}


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConflictError(what="a", why="b", mend="c"), "conflict"), (KeyError("Ada"), "internal")],
)
def test_a_change_that_failed_is_written_with_its_code_and_not_its_words(log, error, code):
    with pytest.raises(type(error)), log.change("faces.enrol", **WHO):
        raise error
    assert lines(log)[-1]["result"] == code
    assert "Ada" not in log.path.read_text()


def test_what_cannot_be_written_down_is_not_done(log):
    block(log)
    done = []
    with pytest.raises(StorageError, match="cannot write"), log.change("faces.delete", **WHO):
        done.append(1)
    assert done == []


def test_a_full_disk_stops_changes(log, monkeypatch):
    monkeypatch.setattr("os.write", lambda file, data: len(data) - 1)
    with pytest.raises(StorageError, match="the disk is full"), log.change("faces.delete", **WHO):
        pytest.fail("the change was made")


def test_reads_go_on_and_what_was_lost_is_counted(log):
    block(log)
    log.read("faces.search", **WHO)
    assert log.lost == 1


def test_a_change_that_was_made_is_not_undone_by_the_log_of_its_end(log):
    with log.change("faces.delete", **WHO):
        block(log)
    assert log.lost == 1


def test_names_and_file_names_find_no_way_in(log):
    secrets = ["Ada Lovelace", "ada.jpg", "/home/ada/me.png", "192.0.2.1", "Ada\n{}", "ADA"]
    for secret in secrets:
        for place in ("request_id", "key_id", "collection"):
            with pytest.raises(InternalError, match="does not belong into the audit log"):
                log.read("faces.search", **(WHO | {place: secret}))
            with pytest.raises(InternalError), log.change("faces.enrol", **(WHO | {place: secret})):
                pytest.fail("the change was made")
        with pytest.raises(InternalError):
            log.read(secret)
        with pytest.raises(InternalError):
            log.read("faces.search", result=secret)
        with pytest.raises(InternalError):
            log.read("faces.search", counts={secret: 1})
    assert log.path.read_text() == ""


def test_the_error_does_not_repeat_the_word(log):
    with pytest.raises(InternalError) as caught:
        log.read("faces.search", collection="Ada Lovelace")
    assert "Ada" not in str(caught.value)


def test_the_file_is_private_and_grows_at_its_end(log):
    log.read("faces.search", **WHO)
    first = log.path.read_text()
    AuditLog(log.path).read("faces.search", **WHO)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert log.path.read_text().startswith(first)
    assert len(lines(log)) == 2


def test_full_files_are_set_aside_and_the_oldest_goes(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=400, keep=2)
    for number in range(20):
        log.read("faces.search", counts={"faces": number})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "audit.jsonl",
        "audit.jsonl.1",
        "audit.jsonl.2",
    ]
    texts = [(tmp_path / name).read_text() for name in ("audit.jsonl.2", "audit.jsonl.1")]
    kept = [json.loads(line) for text in [*texts, log.path.read_text()] for line in text.split()]
    numbers = [line["counts"]["faces"] for line in kept]
    assert numbers == list(range(numbers[0], 20))
    assert all(len(text) <= 400 for text in texts)


def test_lines_of_many_threads_do_not_mix(log):
    def work(number):
        for _ in range(50):
            log.read("faces.search", counts={"number": number})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(log)) == 400


def test_a_place_that_cannot_be_written_is_seen_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        AuditLog(tmp_path / "file/audit.jsonl")
