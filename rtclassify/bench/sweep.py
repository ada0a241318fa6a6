"""All that `rtclassify bench` measures, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtclassify.bench.measure import Cost, cold_start_s, measure, peak_memory_mb
from rtclassify.engine import Engine

BATCH_OF = 64
"""Channels, at most, where their number is not what is tried."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured.

    Args:
        model: The bundle's name or path.
        threads: Threads that the network may use; 0 for as many as there are cores.
        channels: Numbers of channels to try, in order.
        hops_s: Seconds from one label to the next to try, in order.
        seconds: Audio of each channel that is measured, each time.
        bound_ms: The latency that 99 of 100 labels must keep.
    """

    model: str
    threads: int
    channels: Sequence[int]
    hops_s: Sequence[float]
    seconds: float
    bound_ms: float


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured.

    Args:
        plan: What was asked for.
        model: ``name@digest``.
        runs_on: The runtime and the device.
        headline: The cost at the model's own hop, of as many channels as fill a batch.
        by_channels: At that hop, by number of channels.
        by_hop: Of as many channels as the headline, by hop.
        by_hop_whole: The same, if every window were computed whole.
        cold_start_s: Until the engine of a fresh process is ready.
        peak_memory_mb: Of the process that measured.
    """

    plan: Plan
    model: str
    runs_on: str
    headline: Cost
    by_channels: Sequence[Cost]
    by_hop: Sequence[Cost]
    by_hop_whole: Sequence[Cost]
    cold_start_s: float
    peak_memory_mb: float

    @property
    def carried(self) -> int:
        """The most channels, of those tried, whose labels keep the bound."""
        kept = [c.channels for c in self.by_channels if c.latency_ms["p99"] <= self.plan.bound_ms]
        return max(kept, default=0)


def sweep(
    plan: Plan, opened: Callable[[float | None], Engine], told: Callable[[str], None]
) -> Found:
    """Measure what the plan says.

    Args:
        plan: What to measure.
        opened: Opens the engine at a hop; at the model's own for None.
        told: Hears what is measured now.
    """
    told("the start")
    cold_s = cold_start_s(plan.model)
    engine = opened(None)
    batch = min(BATCH_OF, max(plan.channels))

    def cost(engine: Engine, channels: int, *, whole: bool = False) -> Cost:
        hop_s = engine.hop / engine.rate
        told(f"{channels:,} channels, a label every {hop_s:g} s")
        lasting = max(plan.seconds, 2 * hop_s)
        return measure(engine, channels=channels, seconds=lasting, whole=whole)

    headline = cost(engine, batch)
    by_channels = [cost(engine, count) for count in plan.channels]
    engines = [opened(hop_s) for hop_s in plan.hops_s]
    return Found(
        plan=plan,
        model=engine.name,
        runs_on=engine.runs_on,
        headline=headline,
        by_channels=by_channels,
        by_hop=[cost(slower, batch) for slower in engines],
        by_hop_whole=[cost(slower, batch, whole=True) for slower in engines],
        cold_start_s=cold_s,
        peak_memory_mb=peak_memory_mb(),
    )
