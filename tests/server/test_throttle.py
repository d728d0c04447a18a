"""Buckets empty, fill again at their rate, and are few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import ThrottledError
from mien.server.throttle import Throttle, address_group


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def allowed(throttle, name, tries):
    count = 0
    for _ in range(tries):
        try:
            throttle.take(name)
        except ThrottledError:
            continue
        count += 1
    return count


def test_a_burst_is_let_through_and_no_more(clock):
    throttle = Throttle(60, 5, clock=clock)
    assert allowed(throttle, "a", 20) == 5
    clock.now += 3
    assert allowed(throttle, "a", 20) == 3


def test_the_error_says_when_to_ask_again_and_keeping_to_it_helps(clock):
    throttle = Throttle(6, 1, clock=clock)
    throttle.take("a")
    with pytest.raises(ThrottledError, match="ask again in 10 s") as caught:
        throttle.take("a")
    assert caught.value.facts == {"retry_after_s": 10}
    clock.now += 10
    throttle.take("a")


def test_one_client_does_not_use_up_what_another_may(clock):
    throttle = Throttle(60, 2, clock=clock)
    assert allowed(throttle, "a", 10) == 2
    assert allowed(throttle, "b", 10) == 2


def test_the_number_of_buckets_is_bounded(clock):
    throttle = Throttle(60, 2, max_buckets=100, clock=clock)
    for number in range(10_000):
        throttle.take(str(number))
    assert len(throttle) == 100


def test_an_address_is_forgotten_once_its_bucket_is_full(clock):
    throttle = Throttle(60, 2, clock=clock)
    throttle.take("a")
    clock.now += 1
    throttle.take("b")
    assert len(throttle) == 1


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 200))
def test_never_more_than_burst_and_rate_allow(pauses, burst, per_minute):
    clock = Clock()
    throttle = Throttle(per_minute, burst, clock=clock)
    start, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += allowed(throttle, "a", 1)
    assert passed <= burst + (clock.now - start) * per_minute / 60 + 1e-6


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        ("", "unknown"),
    ],
)
def test_addresses_are_grouped_by_who_can_have_them(address, group):
    assert address_group(address) == group
