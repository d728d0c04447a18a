import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import RangeError
from mien.reports.words import count, one_in, percent, percent_range

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.07, "7 %"),
        (0.02139, "2.14 %"),
        (1e-6, "0.0001 %"),
        (1.3586e-6, "0.000136 %"),
        (1e-12, "0.0000000001 %"),
    ],
)
def test_per_cent_have_three_digits_and_no_powers(rate, words):
    assert percent(rate) == words.replace(" ", NBSP)


@given(st.floats(1e-9, 1))
def test_per_cent_are_within_half_a_digit(rate):
    shown = float(percent(rate).removesuffix(f"{NBSP}%")) / 100
    assert shown == pytest.approx(rate, rel=0.0051)


def test_an_interval_names_its_unit_once():
    assert percent_range(0.001, 0.02).replace(NBSP, " ") == "0.1 – 2 %"


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (1, "1 in 1"),
        (0.4, "1 in 2.5"),
        (0.1, "1 in 10"),
        (1e-4, "1 in 10,000"),
        (1e-6, "1 in 1,000,000"),
        (1 / 94_912, "1 in 95,000"),
    ],
)
def test_odds_have_two_digits(rate, words):
    assert one_in(rate) == words.replace(" ", NBSP)


def test_counts_have_their_thousands_apart():
    assert [count(n) for n in (0, 999, 2208114)] == ["0", "999", "2,208,114"]


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, math.inf])
def test_what_is_no_rate_is_refused(rate):
    for say in (percent, one_in):
        with pytest.raises(RangeError, match=r"rate is .*between 0 and 1.*not per cent"):
            say(rate)


def test_nought_has_no_odds():
    with pytest.raises(RangeError, match="rate is 0; it has no odds"):
        one_in(0)
