"""Numbers as words for reports: per cent, odds and counts, with spaces that do not break."""

import math

import numpy as np

from mien.core.errors import RangeError

_SPACE = "\u00a0"


def percent(rate: float) -> str:
    """A rate in per cent, to three significant digits and never in powers of ten.

    Args:
        rate: 0-1.

    Raises:
        RangeError: If it lies outside.

    Example:
        >>> percent(0.00012345).replace("\u00a0", " ")
        '0.0123 %'
    """
    _check_rate(rate)
    digits = np.format_float_positional(100 * rate, precision=3, fractional=False, trim="-")
    return f"{digits}{_SPACE}%"


def percent_range(low: float, high: float) -> str:
    """An interval of rates in per cent.

    Raises:
        RangeError: If an end lies outside 0-1.

    Example:
        >>> percent_range(0.01, 0.02).replace("\u00a0", " ")
        '1 – 2 %'
    """
    start = percent(low).removesuffix(f"{_SPACE}%")
    return f"{start}{_SPACE}–{_SPACE}{percent(high)}"


def one_in(rate: float) -> str:
    """A rate as odds, to two significant digits.

    Args:
        rate: In (0, 1].

    Raises:
        RangeError: If it lies outside.

    Example:
        >>> one_in(0.0001).replace("\u00a0", " ")
        '1 in 10,000'
    """
    _check_rate(rate)
    if rate == 0:
        raise RangeError(what="rate is 0", why="it has no odds", mend="say that none was seen")
    of = 1 / rate
    digits = max(0, math.floor(math.log10(of)) - 1)
    rounded = round(of, -digits) if of >= 10 else round(of, 1)
    return f"1{_SPACE}in{_SPACE}{rounded:,.{0 if rounded == int(rounded) else 1}f}"


def count(number: int) -> str:
    """A whole number with its thousands set apart.

    Example:
        >>> count(2208114)
        '2,208,114'
    """
    return f"{number:,}"


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise RangeError(
            what=f"rate is {rate}",
            why="a rate lies between 0 and 1",
            mend="pass a share, not per cent",
        )
