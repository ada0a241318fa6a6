"""The one loop around the pipeline, for the daemon and for recordings alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from rtclassify.clock import Clock
from rtclassify.events import Event, Heartbeat, Sink
from rtclassify.pipeline import Pipeline
from rtclassify.ring import Wakeup
from rtclassify.stream import Item, Source

HEARTBEAT_S = 1.0
TURN_S = 0.25
"""When nobody rings: recordings that play live, and heartbeats, wait no longer than this."""
ENOUGH = 128
"""Items of a batch: a core has them at hand, and who is behind catches up in steps as small."""


def run(
    sources: Sequence[Source],
    pipeline: Pipeline,
    sinks: Sequence[Sink],
    *,
    clock: Clock,
    wakeup: Wakeup,
    turn: Callable[[], bool],
    ahead: bool = False,
) -> None:
    """Move audio from open sources through the pipeline to open sinks until there is no more.

    Args:
        sources: Open sources.
        pipeline: Knows the channels of all of them.
        sinks: Open sinks; each receives every event.
        clock: Paces heartbeats.
        wakeup: Rung by live sources when audio is there.
        turn: Called at each turn of the loop; says whether to go on.
        ahead: Whether to read sources again while the network is at work on what they brought.

    Raises:
        SourceError: If a recording turns out to be unreadable.
        SinkError: If a sink is gone for good.
        WorkerError: If a process that the network has of its own dies.
    """

    def send(events: Sequence[Event]) -> None:
        for sink in sinks:
            sink.send(events)

    beat, intake = clock.now(), _Intake(sources, pipeline, at_once=2 if ahead else 1)
    try:
        while turn() and not intake.ended:
            told = intake.tell()
            events = told or []
            if clock.now() >= beat:
                events += pipeline.beat(clock.now())
                beat = max(beat + HEARTBEAT_S, clock.now())
            send(events)
            if told is None and not intake.ended:
                wakeup.wait(TURN_S)
    finally:
        try:
            for events in intake.rest():
                send(events)
        finally:
            send([*pipeline.finish(), Heartbeat(pipeline.status)])


class _Intake:
    """What sources bring, on its way through the pipeline: so many batches of it at once."""

    def __init__(self, sources: Sequence[Source], pipeline: Pipeline, *, at_once: int) -> None:
        self._sources = sources
        self._pipeline = pipeline
        self._at_once = at_once
        self._next = 0
        self._taken: deque[Callable[[], list[Event]]] = deque()

    @property
    def ended(self) -> bool:
        """Whether there is nothing to tell any more, nor will be."""
        return not self._taken and all(source.ended for source in self._sources)

    def tell(self) -> list[Event] | None:
        """Take what is there; return what the first of it brings about, None for nothing."""
        while len(self._taken) < self._at_once and self._take():
            pass
        return self._taken.popleft()() if self._taken else None

    def rest(self) -> Iterator[list[Event]]:
        """Yield what all that was taken brings about."""
        while self._taken:
            yield self._taken.popleft()()

    def _take(self) -> bool:
        """Read sources in turn until there is enough; say whether there is anything."""
        items: list[Item] = []
        for _ in self._sources:
            items += self._sources[self._next].read()
            self._next = (self._next + 1) % len(self._sources)
            if len(items) >= ENOUGH:
                break
        if items:
            self._taken.append(self._pipeline.take(items))
        return bool(items)
