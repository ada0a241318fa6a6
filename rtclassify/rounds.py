"""Work on many channels at once, when some of them bring more than one piece of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def rounds(channels: Sequence[int]) -> list[list[int]]:
    """Part the places of pieces of work so that no channel is twice in one part, in order.

    Args:
        channels: The number of the channel of each piece.
    """
    if len(set(channels)) == len(channels):
        return [[*range(len(channels))]] if channels else []
    parted: list[list[int]] = []
    seen: Counter[int] = Counter()
    for place, channel in enumerate(channels):
        if seen[channel] == len(parted):
            parted.append([])
        parted[seen[channel]].append(place)
        seen[channel] += 1
    return parted
