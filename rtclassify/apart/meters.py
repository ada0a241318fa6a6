"""What is measured for alarms, in a process of its own."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Self

from rtclassify.alarms.readings import Meters, Reading
from rtclassify.apart.worker import Answer, Asked, Worker, batches, parted
from rtclassify.clock import Line
from rtclassify.errors import WorkerError
from rtclassify.events import Loudness
from rtclassify.stream import AudioBlock, Legs, Samples

Said = tuple[str, int, int, Line | None, tuple[Legs, ...]]
"""Of a block its channel, its start, how many samples it has, its line and legs."""

BEHIND = 10
"""Batches that wait to be measured, at most: half a second of a thousand channels' audio."""
NICE = 10
"""By how much measuring steps back behind what labels need."""


class MetersApart:
    """`Meters` that live in another process, opened by ``with``.

    They do not hold up labels: what was read comes with a channel's next block, loudness with the
    next heartbeat, and the other process gets what time the others leave.

    Args:
        channels: Their names.
        rate: Samples per second, at least 8,000.
    """

    def __init__(self, channels: Sequence[str], rate: int) -> None:
        self._worker = Worker("alarms", partial(_opened, list(channels), rate), ahead=BEHIND)
        self._measuring: deque[tuple[list[str], Asked]] = deque()
        self._read: dict[str, list[Reading]] = {}
        self._loudness: list[Loudness] = self._worker.ask(None).wait()
        self._asked = self._worker.ask(None)

    def __enter__(self) -> Self:
        """Be there already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the other process; what it has not read yet is not told any more."""
        self._worker.close()

    @property
    def loudness(self) -> list[Loudness]:
        """How loud each channel was when this was asked before."""
        with suppress(WorkerError):  # `push` tells of it
            self._worker.collect()
            if self._asked.told:
                self._loudness, self._asked = self._asked.wait(), self._worker.ask(None)
        return self._loudness

    def push(self, blocks: Sequence[AudioBlock]) -> list[list[Reading]]:
        """Take the next blocks; return what was read by now: see `Measuring.push`.

        Waits only if there are `BEHIND` batches that are not read yet.

        Raises:
            WorkerError: If the other process dies.
        """
        for some in batches([len(block.samples) for block in blocks]):
            mine = blocks[some]
            said = [(b.channel, b.start, len(b.samples), b.line, b.legs) for b in mine]
            asked = self._worker.ask(said, [block.samples for block in mine])
            self._measuring.append(([block.channel for block in mine], asked))
        self._worker.collect()
        while self._measuring and self._measuring[0][1].told:
            channels, asked = self._measuring.popleft()
            for channel, readings in zip(channels, asked.wait(), strict=True):
                self._read.setdefault(channel, []).extend(readings)
        return [self._read.pop(block.channel, []) for block in blocks]


def _opened(channels: Sequence[str], rate: int) -> Answer:
    os.nice(NICE)
    meters = Meters(channels, rate)

    def answer(said: list[Said] | None, audio: Samples) -> list[list[Reading]] | list[Loudness]:
        """Measure what comes, or say how loud everything is."""
        if said is None:
            return meters.loudness
        parts = parted(audio, [size for _, _, size, *_ in said])
        return meters.push(
            [
                AudioBlock(channel, start, part, line, legs)
                for (channel, start, _, line, legs), part in zip(said, parts, strict=True)
            ]
        )

    return answer
