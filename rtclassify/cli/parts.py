"""What the daemon is made of, as its settings say."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.watch import Measuring, Watch
from rtclassify.clock import Clock
from rtclassify.config import ChannelSettings, Settings
from rtclassify.description import describe, find
from rtclassify.errors import ConfigError
from rtclassify.events import Sink, StreamInfo
from rtclassify.keys import ServerKeys, server_keys
from rtclassify.labels import NAMES_WITHOUT_ANSWER
from rtclassify.sinks import open_sink
from rtclassify.sinks.wire import Encoder

log = logging.getLogger(__name__)


def stream_info(settings: Settings) -> StreamInfo:
    """Describe the stream to come from what the bundle says; loads no TensorFlow.

    Raises:
        BundleError: If the bundle cannot be read, or the hop does not fit it.
        ConfigError: If an alarm expects what the bundle does not tell.
    """
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


def piece(info: StreamInfo) -> int:
    """Return the samples in which live audio is taken: a label or a reading ends with each."""
    return math.gcd(info.hop, info.window, info.rate // 2)


def found(channels: Sequence[ChannelSettings]) -> list[ChannelSettings]:
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


def make_sinks(settings: Settings, encoder: Encoder, clock: Clock) -> list[Sink]:
    """Make the sinks that the settings name, not yet entered, and refuse what cannot be one."""
    keys = _keys(settings)
    sinks = [open_sink(to, encoder, keys) for to in (settings.publish, *settings.sinks)]
    if settings.status:
        from rtclassify.sinks.status import StatusSink

        sinks.append(StatusSink(settings.status, encoder, clock))
    if settings.alarms.command or settings.alarms.webhook:
        from rtclassify.sinks.deliveries import open_deliveries

        sinks.append(open_deliveries(settings.alarms, encoder))
    return sinks


def open_journal(stack: ExitStack, settings: Settings, encoder: Encoder, clock: Clock) -> Sink:
    """Open the journal and the socket at which it answers."""
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


def watch(
    channels: Sequence[ChannelSettings],
    settings: Settings,
    info: StreamInfo,
    clock: Clock,
    meters: Measuring,
) -> Watch:
    """Make what watches the channels."""
    kinds = {channel.name: alarms_of(channel, settings) for channel in channels}
    return Watch(kinds, rate=info.rate, utc=clock.utc, meters=meters)


def alarms_of(channel: ChannelSettings, settings: Settings) -> AlarmSettings:
    """Return what raises alarms on `channel`."""
    kinds = settings.alarms.kinds if channel.alarms is None else channel.alarms
    return replace(settings.alarms, kinds=kinds)


def _keys(settings: Settings) -> ServerKeys | None:
    """Read the keys that sockets ask for; None where they ask for none."""
    addresses = [settings.publish, *settings.sinks]
    if settings.journal.path:
        addresses.append(settings.replay)
    return server_keys(settings.security, addresses)
