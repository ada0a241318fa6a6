"""The one loop around the pipeline, for the daemon and for recordings alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from rtclassify.clock import Clock
from rtclassify.pipeline import Begin, Pipeline
from rtclassify.ring import Wakeup
from rtclassify.stream import Event, Heartbeat, Item, Sink, Source

HEARTBEAT_S = 1.0
TURN_S = 0.1


def run(
    sources: Sequence[Source],
    pipeline: Pipeline,
    sinks: Sequence[Sink],
    *,
    clock: Clock,
    wakeup: Wakeup,
    turn: Callable[[], bool],
    begin: Begin[Sequence[Item]] | None = None,
) -> None:
    """Move audio from open sources through the pipeline to open sinks until there is no more.

    Args:
        sources: Open sources.
        pipeline: Knows the channels of all of them.
        sinks: Open sinks; each receives every event.
        clock: Paces heartbeats.
        wakeup: Rung by live sources when audio is there.
        turn: Called at each turn of the loop; says whether to go on.
        begin: As for `Pipeline`, in another thread than that; if given, sources are read again
            while what they brought is at work.

    Raises:
        SourceError: If a recording turns out to be unreadable.
        SinkError: If a sink is gone for good.
    """

    def send(events: Sequence[Event]) -> None:
        for sink in sinks:
            sink.send(events)

    beat, intake = clock.now(), _Intake(sources, pipeline, begin)
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
        for events in intake.rest():
            send(events)
        send([*pipeline.finish(), Heartbeat(pipeline.status)])


class _Intake:
    """What sources bring, on its way through the pipeline: one batch, or two with threads."""

    def __init__(
        self, sources: Sequence[Source], pipeline: Pipeline, begin: Begin[Sequence[Item]] | None
    ) -> None:
        self._sources = sources
        self._pipeline = pipeline
        self._begin = begin
        self._reading: Callable[[], Sequence[Item]] | None = None
        self._taken: deque[Callable[[], list[Event]]] = deque()

    @property
    def ended(self) -> bool:
        """Whether there is nothing to tell any more, nor will be."""
        under_way = self._taken or self._reading
        return not under_way and all(source.ended for source in self._sources)

    def tell(self) -> list[Event] | None:
        """Take what is there; return what the first of it brings about, None for nothing."""
        while len(self._taken) < (2 if self._begin else 1) and self._take():
            pass
        return self._taken.popleft()() if self._taken else None

    def rest(self) -> Iterator[list[Event]]:
        """Yield what all that was read brings about."""
        if self._reading:
            self._begin = None
            self._take()
        while self._taken:
            yield self._taken.popleft()()

    def _take(self) -> bool:
        read, self._reading = self._reading or self._read, None
        items = read()
        if items:
            self._taken.append(self._pipeline.take(items))
            self._reading = self._begin(self._read) if self._begin else None
        return bool(items)

    def _read(self) -> list[Item]:
        return [item for source in self._sources for item in source.read()]
