"""What is measured for alarms, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Self, TypeVar

import numpy as np

from rtclassify.alarms.readings import Meters, Reading
from rtclassify.apart.worker import Worker
from rtclassify.clock import Line
from rtclassify.engine import loaded_for_good
from rtclassify.errors import WorkerError
from rtclassify.stream import AudioBlock, Legs, Loudness

T = TypeVar("T")
Said = tuple[str, int, int, Line | None, tuple[Legs, ...]]
"""Of a block its channel, its start, how many samples it has, its line and legs."""


class MetersApart:
    """`Meters` that live in another process, opened by ``with``.

    Audio goes there and readings come back through a pipe, for which a thread waits.

    Args:
        channels: Their names.
        rate: Samples per second, at least 8,000.
    """

    def __init__(self, channels: Sequence[str], rate: int) -> None:
        self._worker = Worker("alarms", partial(_serve, list(channels), rate))
        self._thread = ThreadPoolExecutor(1, "alarms")
        self._loudness = [Loudness(None, None, None, None, None, 0)] * len(channels)

    def __enter__(self) -> Self:
        """Be there already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the other process."""
        self._worker.close()
        self._thread.shutdown()

    @property
    def loudness(self) -> list[Loudness]:
        """How loud each channel is; what was known last if the other process has died."""
        with suppress(WorkerError):
            self._loudness = self._asked(_loudness)()
        return self._loudness

    def begin(self, blocks: Sequence[AudioBlock]) -> Callable[[], list[list[Reading]]]:
        """Take the next blocks; return what waits for their readings: see `Meters.push`.

        What waits raises `WorkerError` if the other process dies.
        """
        return self._asked(partial(_measured, blocks)) if blocks else list

    def _asked(self, question: Callable[[Connection], T]) -> Callable[[], T]:
        return self._thread.submit(self._worker.ask, question).result


def _measured(blocks: Sequence[AudioBlock], pipe: Connection) -> list[list[Reading]]:
    pipe.send([(b.channel, b.start, len(b.samples), b.line, b.legs) for b in blocks])
    pipe.send_bytes(np.concatenate([block.samples for block in blocks]).data)
    readings: list[list[Reading]] = pipe.recv()
    return readings


def _loudness(pipe: Connection) -> list[Loudness]:
    pipe.send(None)
    loudness: list[Loudness] = pipe.recv()
    return loudness


def _serve(channels: Sequence[str], rate: int, pipe: Connection) -> None:
    """Measure what comes."""
    meters = Meters(channels, rate)
    with loaded_for_good():
        while True:
            said: list[Said] | None = pipe.recv()
            pipe.send(
                meters.loudness if said is None else meters.push(_blocks(said, pipe.recv_bytes()))
            )


def _blocks(said: Sequence[Said], audio: bytes) -> list[AudioBlock]:
    samples, blocks, first = np.frombuffer(audio, np.float32), [], 0
    for channel, start, count, line, legs in said:
        blocks.append(AudioBlock(channel, start, samples[first : first + count], line, legs))
        first += count
    return blocks
