"""How the daemon drives the loop: a model that stays, a thread that helps, a pace for turns."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rtclassify.alarms.watch import Measuring
    from rtclassify.apart.network import EngineApart
    from rtclassify.config import Settings
    from rtclassify.engine import Engine
    from rtclassify.events import StreamInfo
    from rtclassify.pipeline import Begin

MANY = 128
"""Channels from which on the network and the meters get a process each: see `rtclassify.apart`."""

PACE_S = 0.03
"""What comes due meanwhile shares a turn, and a batch of the network."""

log = logging.getLogger(__name__)


class Model:
    """The engine, kept as long as the settings ask for the same one; used by ``with``."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._engine: Engine | EngineApart | None = None

    def __enter__(self) -> Self:
        """Hold none yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        self._stack.close()

    def engine(
        self, settings: Settings, info: StreamInfo, show: Callable[[str], None]
    ) -> Engine | EngineApart:
        """Return the engine that the settings ask for, opened if another one or none is held."""
        held = self._engine
        if held is None or (held.name, held.hop) != (info.model, info.hop):
            log.info("loading %s", info.model)
            show(f"loading {info.model}")
            self._stack.close()
            self._engine = held = self._stack.enter_context(_opened(settings))
        log.info("%s on %s", info.model, held.runs_on)
        return held


def _opened(settings: Settings) -> AbstractContextManager[Engine | EngineApart]:
    """Open the engine here, or, for many channels, in a process of its own."""
    from rtclassify.cli.loading import open_engine

    opening = partial(
        open_engine,
        settings.model,
        hop_s=settings.hop_s,
        device=settings.device,
        runtime=settings.runtime,
        threads=spare_cores(),
    )
    if len(settings.channels) < MANY:
        return nullcontext(opening())
    from rtclassify.apart.network import EngineApart

    return EngineApart(opening)


def meters(channels: Sequence[str], rate: int) -> AbstractContextManager[Measuring]:
    """Open what measures for alarms, here, or, for many channels, in a process of its own."""
    if len(channels) < MANY:
        from rtclassify.alarms.readings import Meters

        return nullcontext(Meters(channels, rate))
    from rtclassify.apart.meters import MetersApart

    return MetersApart(channels, rate)


@contextmanager
def scoring(engine: Engine | EngineApart) -> Iterator[Begin]:
    """Yield what begins to score windows: see `Pipeline`.

    An engine that lives here gets a thread, which does one batch after the other.
    """
    from rtclassify.engine import Engine

    if not isinstance(engine, Engine):
        yield engine.begin
        return
    with ThreadPoolExecutor(1, "helper") as thread:
        yield lambda windows: thread.submit(engine.scores, windows).result


def spare_cores() -> int:
    """Return how many cores the network may use, so that one is left for all else."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def paced(turn: Callable[[], bool]) -> Callable[[], bool]:
    """Let no turn begin sooner than `PACE_S` after the one before."""
    began_s = 0.0

    def late_enough() -> bool:
        nonlocal began_s
        time.sleep(max(0.0, began_s + PACE_S - time.monotonic()))
        began_s = time.monotonic()
        return turn()

    return late_enough
