"""Colours are readable, and nothing comes from elsewhere."""

import re

import pytest

from mien.web.look import COLOURS, SCRIPT, STYLE, page_theme

TEXT = ("ink", "quiet", "accent", "good", "bad", "warn")
WASHES = {"good": "good-wash", "bad": "bad-wash", "warn": "warn-wash"}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palettes() -> list[dict[str, str]]:
    found = re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", COLOURS)
    half = len({name for name, _ in found})
    return [dict(found[:half]), dict(found[half : 2 * half])]


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(palette):
    for name in TEXT:
        for ground in ("paper", "wash", WASHES.get(name, "accent-wash")):
            assert contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
    assert contrast(palette["on-accent"], palette["accent"]) >= 4.5
    assert contrast(palette["edge"], palette["paper"]) >= 3  # borders of fields


def test_style_script_and_theme_name_no_other_place():
    for text in (STYLE, SCRIPT):
        assert "http" not in text
        assert "@import" not in text
    theme = page_theme()
    assert not [css for css in theme._stylesheets if "http" in css]
