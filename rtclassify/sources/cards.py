"""Which sound cards there are, by name.

A child process is asked: PortAudio knows only the cards that were there when it was initialised,
and it hangs while a sound server is stalled, which a child can be stopped from.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rtclassify.errors import DependencyError, SourceError

LISTING_S = 5.0
PORTAUDIO_MISSING = (
    "PortAudio, which sound cards need, is not installed; run: apt install libportaudio2"
)


@dataclass(frozen=True, slots=True)
class Card:
    """A device with inputs.

    Args:
        name: PortAudio's name of it.
        host: The sound system it belongs to.
        inputs: Input channels.
        rate: Frames per second that it is opened at by default.
        default: Whether it is taken when none is named.
    """

    name: str
    host: str
    inputs: int
    rate: int
    default: bool

    @property
    def full_name(self) -> str:
        """The name that no other card has."""
        return f"{self.name}, {self.host}"


def list_cards() -> list[Card]:
    """Return the cards that are there now, as a fresh PortAudio sees them.

    Raises:
        SourceError: If that takes longer than `LISTING_S` or fails: a sound server is stalled.
        DependencyError: If PortAudio is not installed.
    """
    command = [sys.executable, "-m", "rtclassify.sources.portaudio"]
    try:
        child = subprocess.run(command, capture_output=True, timeout=LISTING_S, check=False)  # noqa: S603 (no shell, no input)
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"the sound system did not answer for {LISTING_S:g} s; restart the sound server."
        ) from error
    if child.returncode == DependencyError.exit_code:
        raise DependencyError(PORTAUDIO_MISSING)
    if child.returncode:
        raise SourceError(f"PortAudio cannot list sound cards (status {child.returncode}).")
    return [Card(**card) for card in json.loads(child.stdout)]


def find_card(name: str, cards: Sequence[Card]) -> Card:
    """Return the card called `name`, or the only one whose name contains it.

    Upper and lower case are alike; an empty name or ``default`` is the default card.

    Raises:
        SourceError: If there is no such card, or more than one.
    """
    if name in ("", "default"):
        found = [card for card in cards if card.default]
    else:
        wanted = name.lower()
        found = [c for c in cards if wanted in (c.name.lower(), c.full_name.lower())]
        found = found or [c for c in cards if wanted in c.full_name.lower()]
    if len(found) == 1:
        return found[0]
    names = "; ".join(card.full_name for card in found or cards)
    if found:
        raise SourceError(f"{name!r} fits {len(found)} sound cards ({names}); name one of them.")
    if not cards:
        raise SourceError("there is no sound card with inputs; connect one or name a URL or file.")
    raise SourceError(f"there is no sound card {name or 'default'!r}; there are: {names}.")
