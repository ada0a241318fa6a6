"""``rtclassify run``: the daemon. Here its parts are put together."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtclassify.config import CHANNEL_NAME, Device, Runtime, Settings, load, parse
from rtclassify.errors import ConfigError, RtclassifyError

if TYPE_CHECKING:
    from rtclassify.cli.driving import Model
    from rtclassify.clock import Clock
    from rtclassify.service import Service
    from rtclassify.stream import Source

DEFAULT_FILES = (Path("rtclassify.toml"), Path("/etc/rtclassify.toml"))

log = logging.getLogger(__name__)


def run(
    config: Annotated[
        Path | None,
        typer.Option(help="Settings; else ./rtclassify.toml or /etc/rtclassify.toml, if there."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]SOURCE",
            help="soundcard:NAME, a URL, a file, demo or auto; repeat for several channels.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of a bundle, or a path to one.")] = None,
    hop_s: Annotated[
        float | None, typer.Option("--hop", help="Seconds from one label to the next.")
    ] = None,
    device: Annotated[Device | None, typer.Option(help="What the network runs on.")] = None,
    runtime: Annotated[
        Runtime | None,
        typer.Option(help="litert is for small boxes, int8 for many channels."),
    ] = None,
    publish: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where the label stream is bound to.")
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Another place for labels, such as jsonl:-."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every label, not just changes.")
    ] = False,
) -> None:
    """Listen to audio and publish labels until told to stop.

    SIGTERM and Ctrl-C close open segments and end with exit code 0; SIGHUP reads the settings
    again, or ends it on a terminal. What is given here goes before what the settings file says.
    """
    from rtclassify.cli.log import start_logging

    start_logging(sys.stderr, os.environ, verbose=verbose)
    table = {
        "model": model, "hop_s": hop_s, "device": device, "runtime": runtime,
        "publish": publish, "sinks": sink or None, "channel": _channels(source or []) or None,
    }  # fmt: skip
    flags = {key: value for key, value in table.items() if value is not None}
    try:
        _listen(config, flags)
    except RtclassifyError as error:
        log.error("%s", error)  # noqa: TRY400 - one sentence, no traceback
        raise typer.Exit(error.exit_code) from None


def _channels(sources: Sequence[str]) -> list[dict[str, str]]:
    """Name the channels of ``NAME=SOURCE`` or ``SOURCE``: ``main``, or ``ch1`` and so on."""
    channels = []
    for number, text in enumerate(sources, 1):
        name, equals, source = text.partition("=")
        if not (equals and CHANNEL_NAME.fullmatch(name)):
            name, source = (f"ch{number}" if len(sources) > 1 else "main"), text
        channels.append({"name": name, "source": source})
    return channels


def read_settings(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Return what the flags say, else the settings file, else the defaults.

    Args:
        config: The settings file; None takes the first of `DEFAULT_FILES` that is there.
        flags: A table as `rtclassify.config.parse` takes it.

    Raises:
        ConfigError: If either says something unusable.
    """
    path = config or next((file for file in DEFAULT_FILES if file.is_file()), None)
    settings = load(path) if path else Settings()
    said = parse(flags)
    fields = ["channels" if key == "channel" else key for key in flags]
    return replace(settings, **{field: getattr(said, field) for field in fields})


def _listen(config: Path | None, flags: Mapping[str, Any]) -> None:
    """Serve one epoch after the other: the next one begins when settings are reloaded."""
    from rtclassify.cli import parts
    from rtclassify.cli.driving import Model
    from rtclassify.clock import SystemClock
    from rtclassify.service import Notifier, Service
    from rtclassify.sinks.wire import Encoder

    clock = SystemClock()
    first = read_settings(config, flags)

    def reread() -> Settings:
        settings = read_settings(config, flags)
        encoder = Encoder(parts.stream_info(settings), clock)
        parts.make_sinks(settings, encoder, clock)  # refuses what cannot be
        for key in ("device", "runtime"):
            said, was = getattr(settings, key), getattr(first, key)
            if said != was:
                raise ConfigError(
                    f"{key} = {said!r} cannot take the place of {was!r} while the program runs; "
                    "restart it."
                )
        return settings

    settings: Settings | None = first
    notifier = Notifier.from_environment(os.environ)
    service = Service(notifier, clock, reread=reread, terminal=os.isatty(0))
    with service, Model() as model:
        while settings is not None:
            _serve(settings, service=service, clock=clock, model=model)
            settings = service.reloaded()


def _serve(settings: Settings, *, service: Service, clock: Clock, model: Model) -> None:
    """Label audio from all sources until the service ends it.

    Sources open before the model loads, so that the first window fills meanwhile; many of them
    after it, because there would be a gigabyte of audio to catch up with.
    """
    from rtclassify import pipeline
    from rtclassify.cli import parts
    from rtclassify.cli.driving import MANY, meters, paced, scoring
    from rtclassify.cli.log import LogSink
    from rtclassify.clock import timekeeping
    from rtclassify.loop import run as run_loop
    from rtclassify.memory import loaded_for_good
    from rtclassify.ring import Wakeup
    from rtclassify.sinks import without_password
    from rtclassify.sinks.wire import Encoder
    from rtclassify.sources import open_sources, staggered

    info = parts.stream_info(settings)
    channels = parts.found(settings.channels)
    wakeup = Wakeup()
    with ExitStack() as stack:
        encoder = Encoder(info, clock)
        encoder.timekeeping = timekeeping
        sinks = [stack.enter_context(sink) for sink in parts.make_sinks(settings, encoder, clock)]
        if settings.journal.path:
            sinks.append(parts.open_journal(stack, settings, encoder, clock))
        sinks.append(LogSink(clock, rate=info.rate, show=service.show))
        phases = staggered(channels, info.hop)
        sources = open_sources(
            channels, rate=info.rate, clock=clock, wakeup=wakeup, live=True,
            piece=parts.piece(info), phases=phases,
        )  # fmt: skip
        if len(channels) < MANY:
            _enter(stack, sources)
        engine = model.engine(settings, info, service.show)
        addresses = (settings.publish, *settings.sinks)
        log.info("labels go to %s", ", ".join(without_password(to) for to in addresses))
        names = [channel.name for channel in channels]
        measuring = stack.enter_context(meters(names, info.rate))
        if len(channels) >= MANY:
            _enter(stack, sources)
        watch = parts.watch(channels, settings, info, clock, measuring)
        begin = stack.enter_context(scoring(engine))
        thinking = pipeline.Pipeline(
            engine, names, settings.labels, watch, phases=phases, begin=begin
        )
        stack.enter_context(loaded_for_good())
        service.ready()
        turn = paced(service.turn)
        run_loop(sources, thinking, sinks, clock=clock, wakeup=wakeup, turn=turn, ahead=True)


def _enter(stack: ExitStack, sources: Sequence[Source]) -> None:
    for source in sources:
        stack.enter_context(source)
