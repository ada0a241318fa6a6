"""``rtclassify run``: the daemon. Here its parts are put together."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.config import CHANNEL_NAME, ChannelSettings, Device, Runtime, Settings, load, parse
from rtclassify.errors import ConfigError, RtclassifyError

if TYPE_CHECKING:
    from rtclassify.alarms.watch import Measuring, Watch
    from rtclassify.cli.driving import Model
    from rtclassify.clock import Clock
    from rtclassify.events import Sink, StreamInfo
    from rtclassify.keys import ServerKeys
    from rtclassify.service import Service
    from rtclassify.sinks.wire import Encoder
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
    from rtclassify.cli.driving import Model
    from rtclassify.clock import SystemClock
    from rtclassify.service import Notifier, Service
    from rtclassify.sinks.wire import Encoder

    clock = SystemClock()
    first = read_settings(config, flags)

    def reread() -> Settings:
        settings = read_settings(config, flags)
        _sinks(settings, Encoder(_info(settings), clock), clock)  # refuses what cannot be
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
    from rtclassify.cli.driving import MANY, meters, paced, scoring
    from rtclassify.cli.log import LogSink
    from rtclassify.clock import timekeeping
    from rtclassify.loop import run as run_loop
    from rtclassify.memory import loaded_for_good
    from rtclassify.ring import Wakeup
    from rtclassify.sinks import without_password
    from rtclassify.sinks.wire import Encoder
    from rtclassify.sources import open_sources, staggered

    info = _info(settings)
    channels = _found(settings.channels)
    wakeup = Wakeup()
    with ExitStack() as stack:
        encoder = Encoder(info, clock)
        encoder.timekeeping = timekeeping
        sinks = [stack.enter_context(sink) for sink in _sinks(settings, encoder, clock)]
        if settings.journal.path:
            sinks.append(_keep(stack, settings, encoder, clock))
        sinks.append(LogSink(clock, rate=info.rate, show=service.show))
        phases = staggered(channels, info.hop)
        sources = open_sources(
            channels, rate=info.rate, clock=clock, wakeup=wakeup, live=True, piece=_piece(info),
            phases=phases,
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
        watch = _watch(channels, settings, info, clock, measuring)
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


def _piece(info: StreamInfo) -> int:
    """Return the samples in which live audio is taken: a label or a reading ends with each."""
    return math.gcd(info.hop, info.window, info.rate // 2)


def _keep(stack: ExitStack, settings: Settings, encoder: Encoder, clock: Clock) -> Sink:
    """Open the journal and the socket at which it answers."""
    from rtclassify.description import describe, find
    from rtclassify.sinks.journal import JournalSink
    from rtclassify.sinks.replay import ReplayServer

    said = describe(find(settings.model))
    named = {"model": f"{said.name}@{said.digest}", "config": settings.digest}
    journal = stack.enter_context(JournalSink(settings.journal, encoder, clock, named=named))
    path, epoch = Path(settings.journal.path), encoder.info.epoch
    replay = ReplayServer(settings.replay, path, epoch=epoch, keys=_keys(settings))
    stack.enter_context(replay)
    log.info("the journal is %s, and answers on %s", settings.journal.path, replay.address)
    return journal


def _watch(
    channels: Sequence[ChannelSettings],
    settings: Settings,
    info: StreamInfo,
    clock: Clock,
    meters: Measuring,
) -> Watch:
    from rtclassify.alarms.watch import Watch

    kinds = {channel.name: alarms_of(channel, settings) for channel in channels}
    return Watch(kinds, rate=info.rate, utc=clock.utc, meters=meters)


def alarms_of(channel: ChannelSettings, settings: Settings) -> AlarmSettings:
    """Return what raises alarms on `channel`."""
    kinds = settings.alarms.kinds if channel.alarms is None else channel.alarms
    return replace(settings.alarms, kinds=kinds)


def _info(settings: Settings) -> StreamInfo:
    """Describe the stream to come from what the bundle says; loads no TensorFlow."""
    import secrets

    from rtclassify.description import describe, find
    from rtclassify.events import StreamInfo
    from rtclassify.labels import NAMES_WITHOUT_ANSWER

    said = describe(find(settings.model))
    hop = said.hop_samples(settings.hop_s)
    told = (*said.labels, *NAMES_WITHOUT_ANSWER)
    for rule in settings.alarms.expected:
        if rule.label not in told:
            raise ConfigError(
                f"alarms.expected.label = {rule.label!r} is nothing that {said.tag} tells; choose "
                f"one of {', '.join(told)}."
            )
    return StreamInfo(secrets.token_hex(4), said.tag, said.labels, said.rate, said.window, hop)


def _sinks(settings: Settings, encoder: Encoder, clock: Clock) -> list[Sink]:
    """Make the sinks that the settings name, not yet entered, and refuse what cannot be one."""
    from rtclassify.sinks import open_sink

    keys = _keys(settings)
    sinks = [open_sink(to, encoder, keys) for to in (settings.publish, *settings.sinks)]
    if settings.status:
        from rtclassify.sinks.status import StatusSink

        sinks.append(StatusSink(settings.status, encoder, clock))
    if settings.alarms.command or settings.alarms.webhook:
        from rtclassify.sinks.deliveries import open_deliveries

        sinks.append(open_deliveries(settings.alarms, encoder))
    return sinks


def _keys(settings: Settings) -> ServerKeys | None:
    """Read the keys that sockets ask for; None where they ask for none."""
    from rtclassify.keys import server_keys

    addresses = [settings.publish, *settings.sinks]
    if settings.journal.path:
        addresses.append(settings.replay)
    return server_keys(settings.security, addresses)


def _found(channels: Sequence[ChannelSettings]) -> list[ChannelSettings]:
    """Decide what ``auto`` means here."""
    if all(channel.source != "auto" for channel in channels):
        return list(channels)
    from rtclassify.sources.soundcard import default_input_exists

    here = "soundcard:default" if default_input_exists() else "demo"
    if here == "demo":
        log.info("there is no sound card here, so the built-in demo programme plays")
    else:
        log.info("listening to the default sound card")
    return [replace(c, source=here) if c.source == "auto" else c for c in channels]
