"""Work on many channels at once, when some of them bring more than one piece of it."""

from __future__ import annotations

from collections.abc import Sequence


def rounds(channels: Sequence[int]) -> list[list[int]]:
    """Part the places of pieces of work so that no channel is twice in one part, in order.

    Args:
        channels: The number of the channel of each piece.
    """
    parted: list[list[int]] = []
    turns: dict[int, int] = {}
    for place, channel in enumerate(channels):
        turn = turns.get(channel, 0)
        if turn == len(parted):
            parted.append([])
        parted[turn].append(place)
        turns[channel] = turn + 1
    return parted
