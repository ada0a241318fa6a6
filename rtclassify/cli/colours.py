"""One colour a label, in the terminal and in figures.

Blue and orange stay apart for the colour-blind, their mixture is purple, and what is neither is
grey. All are readable on dark and on light ground.
"""

from __future__ import annotations

COLOURS = {
    "speech": "#3a8fd6",
    "music": "#e2862b",
    "speech+music": "#a06bd0",
    "other": "#8b939c",
    "unsure": "#b9a44c",
    "silence": "#b4bac1",
    "digital-silence": "#cf5f5f",
}

OTHERS = "#4fa38b"
"""The colour of labels that a model of one's own brings along."""


def colour_of(label: str) -> str:
    """Return the label's colour as ``#rrggbb``, which rich and matplotlib both take."""
    return COLOURS.get(label, OTHERS)
