"""Run the rig and tell what it cost."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtclassify.bench.rig import ORDER, Rig, published
from rtclassify.engine import Engine
from rtclassify.events import Label
from rtclassify.memory import loaded_for_good

WARM_UP_S = 1.0
"""Audio before measuring, besides a window."""

Spread = Mapping[str, float]
"""``p50``, ``p95`` and ``p99``."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What so many channels cost; a *hop* is one hop of one channel.

    Args:
        channels: How many.
        hop_s: Seconds from one label to the next.
        stages_us: Microseconds of the clock a hop, by stage: ``mean``, ``p50``, ``p95`` and ``p99``
            over the turns of the loop.
        total_us: The same of all stages, in the mean.
        core_us: Microseconds of the cores a hop, of all threads.
        realtime_factor: Seconds of audio, of all channels together, in a second of the clock.
        latency_ms: From a hop's last sample to its label on the socket, if audio came in real
            time: the measured turns one after the other, each as soon as its audio is there.
    """

    channels: int
    hop_s: float
    stages_us: Mapping[str, Spread]
    total_us: float
    core_us: float
    realtime_factor: float
    latency_ms: Spread


def measure(engine: Engine, *, channels: int, seconds: float, whole: bool = False) -> Cost:
    """Put so many channels through everything, from native PCM to the socket.

    Args:
        engine: Its hop is the hop.
        channels: How many.
        seconds: Audio of each that is measured, at least one hop.
        whole: Whether to compute whole windows instead of what is new.
    """
    with published(engine) as (sink, encoder):
        rig = Rig(engine, sink, encoder, channels=channels, whole=whole)
        hop_s = engine.hop / engine.rate
        for _ in range(math.ceil((engine.window / engine.rate + WARM_UP_S) / hop_s) * rig.cards):
            rig.turn()
        taken: list[dict[str, float]] = []
        due: list[float] = []
        ends: list[list[float]] = []
        with loaded_for_good():
            rig.stopwatch.taken()
            core = time.process_time()
            for _ in range(max(2, round(seconds / hop_s)) * rig.cards):
                due_s, events = rig.turn()
                due.append(due_s)
                taken.append(rig.stopwatch.taken())
                newest = [e for e in events if isinstance(e, Label) and not e.final]
                ends.append([label.end / engine.rate for label in newest])
            core = time.process_time() - core
    hops = np.array([len(turn) for turn in ends])
    spent = np.array([sum(turn.values()) for turn in taken])
    return Cost(
        channels=channels,
        hop_s=hop_s,
        stages_us=_by_stage(taken, hops),
        total_us=1e6 * float(spent.sum() / hops.sum()),
        core_us=1e6 * core / int(hops.sum()),
        realtime_factor=int(hops.sum()) * hop_s / float(spent.sum()),
        latency_ms=_spread(_latencies_ms(spent.tolist(), due, ends)),
    )


def _by_stage(taken: Sequence[Mapping[str, float]], hops: NDArray[np.int_]) -> Mapping[str, Spread]:
    """Divide each stage's time in each turn by the turn's hops."""
    found: dict[str, Spread] = {}
    for name in ORDER:
        us = 1e6 * np.array([turn.get(name, 0.0) for turn in taken]) / hops
        found[name] = {"mean": float(np.average(us, weights=hops)), **_spread(us.tolist())}
    return found


def _latencies_ms(
    spent: Sequence[float], due: Sequence[float], ends: Sequence[Sequence[float]]
) -> list[float]:
    """Let turns begin as soon as their audio is there and the one before is over."""
    latencies, free_s = [], 0.0
    for took_s, due_s, of_turn in zip(spent, due, ends, strict=True):
        free_s = max(free_s, due_s) + took_s
        latencies += [1e3 * (free_s - end) for end in of_turn]
    return latencies


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {f"p{share}": float(np.percentile(values, share)) for share in (50, 95, 99)}


def cold_start_s(model: str) -> float:
    """Return the seconds that a fresh process takes until its engine is ready."""
    ready = f"from rtclassify.inference import open_engine; open_engine({model!r}, device='cpu')"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", ready], check=True, capture_output=True)  # noqa: S603
    return time.monotonic() - began


def peak_memory_mb() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
