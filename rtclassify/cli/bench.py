"""``rtclassify bench``: what a channel costs here, and how many this machine carries."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtclassify.cli.output import delivering
from rtclassify.config import Device, Runtime, Settings
from rtclassify.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from rtclassify.bench.sweep import Found, Plan
    from rtclassify.engine import Engine

CHANNELS = "1,8,64,250,500,1000,2000"
HOPS = "0.1,0.2,0.5,1,2,5"


def bench(
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model, or the path of one.")
    ] = Settings().model,
    device: Annotated[Device, typer.Option(help="What the network runs on.")] = "auto",
    runtime: Annotated[
        Runtime, typer.Option(help="litert is for small boxes, int8 for many channels.")
    ] = "tensorflow",
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
    hops_s = _numbers(hops, "--hops", least=0.01)
    from rich.console import Console

    from rtclassify.bench import report
    from rtclassify.bench.sweep import Plan

    found = _measured(device, runtime, Plan(model, threads, counts, hops_s, seconds, bound_ms))

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


def _measured(device: Device, runtime: Runtime, plan: Plan) -> Found:
    if plan.threads:
        # TensorFlow reads it when it is loaded; the commands that serve leave it alone.
        os.environ |= {"TF_NUM_INTRAOP_THREADS": str(plan.threads), "TF_NUM_INTEROP_THREADS": "1"}
    from rich.console import Console

    from rtclassify.bench.sweep import sweep
    from rtclassify.cli.loading import open_engine

    # It takes engines that are opened one after the other for one that is traced again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)

    def opened(hop_s: float | None) -> Engine:
        return open_engine(plan.model, hop_s=hop_s, device=device, runtime=runtime)

    with Console(stderr=True).status("measuring") as status:
        return sweep(plan, opened, lambda what: status.update(f"measuring {what}"))


def _show(found: Found, console: Console) -> None:
    from rich.table import Table

    headline = found.headline
    cores = {0: "all cores", 1: "one core"}.get(found.plan.threads, f"{found.plan.threads} cores")
    console.print(f"{found.model} on {found.runs_on}, {cores} for the network")
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
        "channels", "hop", "core µs", "a channel", "× real time", "late 50 %", "99 %",
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
        f"\nCarried within {found.plan.bound_ms:g} ms: {found.carried:,} channels. "
        f"{hour_s:.1f} s of the core for an hour of audio; ready {found.cold_start_s:.1f} s after "
        f"the start; {found.peak_memory_mb:,.0f} MB at most."
    )
