"""The one loop around the pipeline, for the daemon and for recordings alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from rtclassify.clock import Clock
from rtclassify.pipeline import Pipeline
from rtclassify.ring import Wakeup
from rtclassify.stream import Event, Heartbeat, Sink, Source

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
    """

    def take() -> bool:
        items = [item for source in sources for item in source.read()]
        if items:
            taken.append(pipeline.take(items))
        return bool(items)

    def send(events: Sequence[Event]) -> None:
        for sink in sinks:
            sink.send(events)

    beat, taken = clock.now(), deque[Callable[[], list[Event]]]()
    try:
        while turn() and (taken or not all(source.ended for source in sources)):
            while len(taken) < 1 + ahead and take():
                pass
            idle = not taken
            events = [] if idle else taken.popleft()()
            if clock.now() >= beat:
                events += pipeline.beat(clock.now())
                beat = max(beat + HEARTBEAT_S, clock.now())
            send(events)
            if idle and not all(source.ended for source in sources):
                wakeup.wait(TURN_S)
    finally:
        while taken:
            send(taken.popleft()())
        send([*pipeline.finish(), Heartbeat(pipeline.status)])
