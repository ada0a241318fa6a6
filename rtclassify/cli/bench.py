"""``rtclassify bench``: what a channel costs here, and how many this machine carries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtclassify.cli.output import delivering
from rtclassify.config import Device, Settings
from rtclassify.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from rtclassify.bench.report import Found
    from rtclassify.engine import Engine

BATCH_OF = 64
"""Channels, where their number is not what is tried."""

CHANNELS = "1,8,64,250,500,1000,2000"
HOPS = "0.1,0.2,0.5,1,2,5"


def bench(
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model, or the path of one.")
    ] = Settings().model,
    device: Annotated[Device, typer.Option(help="What the network runs on.")] = "auto",
    threads: Annotated[
        int, typer.Option(min=0, help="Cores that the network may use; 0 for all.")
    ] = 1,
    channels: Annotated[
        str, typer.Option(metavar="LIST", help="Numbers of channels to try.")
    ] = CHANNELS,
    hops: Annotated[
        str, typer.Option(metavar="LIST", help="Seconds from one label to the next to try.")
    ] = HOPS,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Audio of each channel that is measured, each time.")
    ] = 5.0,
    bound_ms: Annotated[
        float, typer.Option("--bound", help="Milliseconds in which 99 of 100 labels must be out.")
    ] = 500.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw cost against channels and hop.")
    ] = None,
) -> None:
    """Measure what labelling costs and how many channels fit.

    Audio is made up, at 48 kHz, 64 inputs a card, and goes through everything that the daemon
    has, alarms included, up to a socket to which somebody listens. Other programs make it slower.
    """
    counts = [int(number) for number in _numbers(channels, "--channels", least=1)]
    lengths = _numbers(hops, "--hops", least=0.01)
    if threads:
        # TensorFlow reads it when it is loaded; the commands that serve leave it alone.
        os.environ |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1"}
    from rich.console import Console

    terminal = Console(stderr=True)
    found = _measured(
        model, device, terminal, threads=threads, counts=counts, lengths=lengths,
        seconds=seconds, bound_ms=bound_ms,
    )  # fmt: skip
    from rtclassify.bench import report

    with delivering("the output"):
        if as_json:
            print(json.dumps(report.as_json(found), indent=2))
        else:
            _show(found, Console())
        if plot:
            report.draw(found).savefig(plot)


def _numbers(text: str, option: str, *, least: float) -> list[float]:
    try:
        numbers = sorted({float(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < least:
        raise UsageError(f"{option} {text!r} is no list of numbers; write it like 1,10,100.")
    return numbers


def _measured(
    model: str,
    device: Device,
    terminal: Console,
    *,
    threads: int,
    counts: list[int],
    lengths: list[float],
    seconds: float,
    bound_ms: float,
) -> Found:
    from rtclassify.cli.loading import load_engine

    engine = load_engine(model, hop_s=None, device=device, terminal=terminal)
    from rtclassify.bench.measure import cold_start_s, measure, peak_memory_mb
    from rtclassify.bench.report import Found

    def at(hop_s: float) -> Engine:
        return load_engine(model, hop_s=hop_s, device=device, terminal=terminal)

    with terminal.status("measuring") as status:

        def told(text: str) -> None:
            status.update(f"measuring {text}")

        told("the start")
        cold_s = cold_start_s(model)
        batch = min(BATCH_OF, max(counts))
        told(f"{batch} channels")
        headline = measure(engine, channels=batch, seconds=seconds)
        by_channels = []
        for count in counts:
            told(f"{count:,} channels")
            by_channels.append(measure(engine, channels=count, seconds=seconds))
        by_hop, by_hop_whole = [], []
        for length in lengths:
            told(f"a label every {length:g} s")
            lasting, slower = max(seconds, 2 * length), at(length)
            by_hop.append(measure(slower, channels=batch, seconds=lasting))
            by_hop_whole.append(measure(slower, channels=batch, seconds=lasting, whole=True))
    return Found(
        model=engine.name,
        runs_on=engine.runs_on,
        threads=threads,
        headline=headline,
        by_channels=by_channels,
        by_hop=by_hop,
        by_hop_whole=by_hop_whole,
        bound_ms=bound_ms,
        cold_start_s=cold_s,
        peak_memory_mb=peak_memory_mb(),
    )


def _show(found: Found, console: Console) -> None:
    from rich.table import Table

    headline = found.headline
    console.print(
        f"{found.model} on {found.runs_on}, "
        f"{found.threads or 'all'} core{'' if found.threads == 1 else 's'} for the network"
    )
    stages = Table("stage", "mean µs", "50 %", "95 %", "99 %", box=None, header_style="dim")
    for column in stages.columns[1:]:
        column.justify = "right"
    for name, spread in headline.stages_us.items():
        stages.add_row(name, *(f"{value:,.0f}" for value in spread.values()))
    stages.add_row("all", f"{headline.total_us:,.0f}", style="bold")
    console.print(
        f"\nA hop of {headline.hop_s:g} s of one of {headline.channels} channels, by the clock, "
        f"in turns of the loop:"
    )
    console.print(stages)
    sweeps = Table(
        "channels", "hop", "µs of the core", "a channel", "× real time", "latency 50 %", "99 %",
        box=None, header_style="dim",
    )  # fmt: skip
    for column in sweeps.columns:
        column.justify = "right"
    for cost in (*found.by_channels, *found.by_hop):
        sweeps.add_row(
            f"{cost.channels:,}", f"{cost.hop_s:g} s", f"{cost.core_us:,.0f}",
            f"{1e-4 * cost.core_us / cost.hop_s:.2f} %", f"{cost.realtime_factor:,.0f}",
            f"{cost.latency_ms['p50']:,.0f} ms", f"{cost.latency_ms['p99']:,.0f} ms",
        )  # fmt: skip
    console.print()
    console.print(sweeps)
    hour_s = headline.core_us * 3.6e-3 / headline.hop_s
    console.print(
        f"\nCarried within {found.bound_ms:g} ms: {found.carried:,} channels. "
        f"{hour_s:.1f} s of the core for an hour of audio; ready {found.cold_start_s:.1f} s after "
        f"the start; {found.peak_memory_mb:,.0f} MB at most."
    )
