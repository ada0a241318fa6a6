"""Listening to a live source from a test, as the daemon's loop does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from rtclassify.clock import SystemClock
from rtclassify.config import ChannelSettings
from rtclassify.ring import Wakeup
from rtclassify.sources import open_sources
from rtclassify.stream import AudioBlock, CaptureLost, Gap, Item, Samples

SLOWEST_READ_S = 0.5
"""Reads take microseconds; a read that waits for a device or a server takes seconds."""


class Hearing:
    """Reads sources until something happens, keeps what came, and times each read.

    Args:
        channels: As in the configuration.
        rate: Samples per second to deliver.
    """

    def __init__(self, *channels: ChannelSettings, rate: int = 16_000) -> None:
        self._wakeup = Wakeup()
        self.clock = SystemClock()
        self.sources = open_sources(
            channels, rate=rate, clock=self.clock, wakeup=self._wakeup, live=True
        )
        self.items: list[Item] = []
        self.closing_s = 0.0

    def __enter__(self) -> Self:
        for source in self.sources:
            source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        began = time.monotonic()
        for source in self.sources:
            source.__exit__(kind, error, trace)
        self.closing_s = time.monotonic() - began

    def until(self, happened: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Read until `happened` says so."""
        limit = time.monotonic() + limit_s
        while not happened():
            assert time.monotonic() < limit, f"waited {limit_s} s; last: {self.items[-3:]}"
            began = time.monotonic()
            for source in self.sources:
                self.items += source.read()
            assert time.monotonic() - began < SLOWEST_READ_S, "a read blocked"
            self._wakeup.wait(0.05)

    def heard_s(self, channel: str, since: int = 0, rate: int = 16_000) -> float:
        """Seconds of audio of a channel among the items from number `since` on."""
        return sum(len(b.samples) for b in self.blocks(channel, since)) / rate

    def blocks(self, channel: str, since: int = 0) -> list[AudioBlock]:
        """Return a channel's blocks."""
        return [i for i in self._of(channel, since) if isinstance(i, AudioBlock)]

    def gaps(self, channel: str, since: int = 0) -> list[Gap]:
        """Return a channel's gaps."""
        return [i for i in self._of(channel, since) if isinstance(i, Gap)]

    def losses(self, channel: str, since: int = 0) -> list[CaptureLost]:
        """Return the news that nothing arrives on a channel any more."""
        return [i for i in self._of(channel, since) if isinstance(i, CaptureLost)]

    def audio(self, channel: str, since: int = 0) -> Samples:
        """Return a channel's audio, joined."""
        return np.concatenate([b.samples for b in self.blocks(channel, since)])

    def _of(self, channel: str, since: int) -> list[Item]:
        return [item for item in self.items[since:] if item.channel == channel]


def check_indices(items: Sequence[Item], channel: str) -> int:
    """Assert that a channel's blocks and gaps leave no hole and no overlap; return their end."""
    end = 0
    for item in items:
        if item.channel == channel and isinstance(item, AudioBlock | Gap):
            assert item.start == end, item
            end = item.end
    return end
