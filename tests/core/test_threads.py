from pathlib import Path

import pytest

from mien.core import threads
from mien.core.errors import ConfigError
from mien.core.threads import available_threads, read_quota, resolve_threads


def quota_of(
    folder: Path, *, v2: str | None = None, quota: str | None = None, period: str | None = None
) -> float | None:
    """Write the control group's files and read them."""
    paths = {name: folder / name for name in ("v2", "quota", "period")}
    for name, text in (("v2", v2), ("quota", quota), ("period", period)):
        if text is not None:
            paths[name].write_text(text)
    return read_quota(**paths)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("200000 100000\n", 2.0),
        ("150000 100000\n", 1.5),
        ("50000 100000\n", 0.5),
        ("max 100000\n", None),
        ("max\n", None),
        ("", None),
        ("many 100000\n", None),
        ("100000 0\n", None),
    ],
)
def test_the_quota_of_cgroup_v2(tmp_path: Path, text: str, cores: float | None) -> None:
    assert quota_of(tmp_path, v2=text) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [
        ("400000\n", "100000\n", 4.0),
        ("250000\n", "100000\n", 2.5),
        ("-1\n", "100000\n", None),
        ("0\n", "100000\n", None),
        ("100000\n", "0\n", None),
        ("100000\n", "\n", None),
        ("100000\n", None, None),
        (None, "100000\n", None),
    ],
)
def test_the_quota_of_cgroup_v1(
    tmp_path: Path, quota: str | None, period: str | None, cores: float | None
) -> None:
    assert quota_of(tmp_path, quota=quota, period=period) == cores


def test_version_2_is_believed_before_version_1(tmp_path: Path) -> None:
    assert quota_of(tmp_path, v2="max 100000", quota="200000", period="100000") is None


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota_of(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "expected"), [(0.5, 1), (1.0, 1), (1.9, 1), (2.0, 2), (3.7, 3), (8.0, 8), (64.0, 8)]
)
def test_threads_keep_to_the_quota_and_to_the_affinity(
    quota: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert available_threads(quota) == expected


def test_without_a_quota_the_affinity_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    monkeypatch.setattr(threads, "read_quota", lambda: None)
    assert available_threads() == resolve_threads(None) == 3


def test_a_system_without_affinity_counts_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr(threads, "read_quota", lambda: None)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert available_threads() == 6
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert available_threads() == 1


def test_none_takes_what_the_quota_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "read_quota", lambda: 2.5)
    assert resolve_threads(None) == 2


def test_a_given_count_is_taken_as_it_is() -> None:
    assert resolve_threads(17) == 17


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_thread_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=f"threads is {count}; .*at least one.*leave it out"):
        resolve_threads(count)
