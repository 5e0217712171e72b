"""Contrast of every text on everything it stands on: WCAG 2.2, success criteria 1.4.3 and 1.4.11."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensor.receiver import page

CSS = (Path(page.__file__).parent / "static/page.css").read_text()
_LIGHT, _, _DARK = CSS.partition("@media (prefers-color-scheme: dark)")
_NAMES = re.compile(r"--([a-z-]+):\s*(#[0-9a-f]{6});")
LIGHT = dict(_NAMES.findall(_LIGHT))
DARK = dict(_NAMES.findall(_DARK))

TEXTS = ("text", "faint", "accent", "warn", "good", "golang", "maven", "npm", "nuget", "pypi")
GROUNDS = ("ground", "panel", "shade")


def _luminance(colour: str) -> float:
    """Of ``#rrggbb``, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_itself() -> None:
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_can_be_read(scheme: dict[str, str]) -> None:
    assert scheme.keys() == LIGHT.keys()
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS]
    pairs += [("on-accent", "accent"), ("text", "warn-shade"), ("warn", "warn-shade"), ("text", "fresh"),
              ("faint", "fresh"), ("accent", "fresh")]  # fmt: skip
    weak = {pair: round(contrast(scheme[pair[0]], scheme[pair[1]]), 2) for pair in pairs}
    assert not {pair: ratio for pair, ratio in weak.items() if ratio < 4.5}


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_edges_of_fields_can_be_seen(scheme: dict[str, str]) -> None:
    for mark, ground in (("edge", "panel"), ("edge", "ground"), ("bar", "panel"), ("accent", "ground")):
        assert contrast(scheme[mark], scheme[ground]) >= 3, (mark, ground)


def test_no_colour_outside_of_the_two_schemes() -> None:
    rest = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rest)) <= {"#000"}
    assert "url(" not in CSS and "@import" not in CSS
