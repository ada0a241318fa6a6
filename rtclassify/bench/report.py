"""What `rtclassify bench` found, as JSON and as a picture."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtclassify import __version__
from rtclassify.bench.measure import Cost
from rtclassify.bench.sweep import Found

INK, FAINT, NEW, WHOLE = "#2b3440", "#8a94a0", "#3a8fd6", "#e2862b"
PACKAGES = ("tensorflow", "numpy", "scipy", "soxr", "pyzmq")


def as_json(found: Found) -> dict[str, Any]:
    """Return what was found, and on which machine with which versions."""
    headline = found.headline
    return {
        "rtclassify": __version__,
        "model": found.model,
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in PACKAGES},
        "runs_on": found.runs_on,
        "threads": found.plan.threads,
        "channels": headline.channels,
        "hop_s": headline.hop_s,
        "realtime_factor": headline.realtime_factor,
        "latency_ms": headline.latency_ms,
        "stages_us": headline.stages_us,
        "total_us": headline.total_us,
        "core_us": headline.core_us,
        "core_s_per_audio_hour": headline.core_us * 3.6e-3 / headline.hop_s,
        "carried": {"channels": found.carried, "bound_ms": found.plan.bound_ms},
        "cold_start_s": found.cold_start_s,
        "peak_memory_mb": found.peak_memory_mb,
        "by_channels": [asdict(cost) for cost in found.by_channels],
        "by_hop": [asdict(cost) for cost in found.by_hop],
        "by_hop_whole_windows": [asdict(cost) for cost in found.by_hop_whole],
    }


def machine() -> dict[str, Any]:
    """Say what kind of machine this is."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "release": platform.release(),
    }


def draw(found: Found) -> Figure:
    """Draw the cost of a channel against how many there are, and against the hop."""
    figure = Figure((11, 4.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    counts = [cost.channels for cost in found.by_channels]
    left.plot(counts, [_core_share(c) for c in found.by_channels], "o-", color=NEW)
    left.set_xscale("log")
    left.set_xticks(counts, [f"{c}" if c < 1000 else f"{c / 1000:g} k" for c in counts])  # noqa: PLR2004
    left.minorticks_off()
    _dress(left, "channels", f"A channel, a label every {found.headline.hop_s:g} s")
    hops = [cost.hop_s for cost in found.by_hop]
    for costs, colour, name in (
        (found.by_hop_whole, WHOLE, "every window computed whole"),
        (found.by_hop, NEW, "new audio computed"),
    ):
        shares = [_core_share(cost) for cost in costs]
        right.plot(hops, shares, "o-", color=colour)
        right.annotate(name, (hops[0], shares[0]), (8, 4), textcoords="offset points", color=colour)
    right.set_xscale("log")
    right.set_xticks(hops, [f"{hop:g}" for hop in hops])
    right.minorticks_off()
    _dress(
        right, "seconds from one label to the next", f"Each of {found.headline.channels} channels"
    )
    return figure


def _core_share(cost: Cost) -> float:
    """Return the share of one core, in percent, that a channel takes."""
    return 1e-4 * cost.core_us / cost.hop_s


def _dress(axis: Axes, along: str, title: str) -> None:
    axis.set_title(title, color=INK, fontsize=11, loc="left")
    axis.set_xlabel(along, color=INK)
    axis.set_ylabel("% of one core", color=INK)
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(FAINT)
    axis.tick_params(colors=INK)
    axis.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
