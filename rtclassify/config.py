"""``rtclassify.toml`` and flags become frozen settings.

The file is read once, checked whole, and refused with one sentence that names the key, the value
and what was wanted; an unknown key names the nearest known one. See ``rtclassify.example.toml``.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from rtclassify.alarm_kinds import Limits
from rtclassify.alarm_settings import AlarmSettings, parse_alarms, parse_kinds
from rtclassify.checks import local_port as _local_port
from rtclassify.checks import number as _number
from rtclassify.checks import one_of as _one_of
from rtclassify.checks import refuse_unknown as _refuse_unknown
from rtclassify.checks import table as _table
from rtclassify.checks import text as _text
from rtclassify.checks import texts as _texts
from rtclassify.checks import truth as _truth
from rtclassify.errors import ConfigError

Device = Literal["auto", "cpu", "gpu"]
Runtime = Literal["tensorflow", "litert", "int8"]
CHANNEL_NAME = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """How scores and levels become labels.

    Args:
        threshold: Probability from which an answer is yes.
        doubt: A label whose likeliest answer is nearer to the threshold than this is `unsure`.
        min_segment_s: Changes shorter than this do not make a segment.
        min_insert_s: Nor do those shorter than this after which the same label goes on.
        silence_dbfs: RMS level of a hop below which it is quiet.
        silence_after_s: How long it must stay quiet to be called silence.
        final_after_s: How much later audio a final label waits for, rounded to hops and at most a
            window less a hop.
    """

    threshold: float = 0.5
    doubt: float = 0.1
    min_segment_s: float = 1.5
    min_insert_s: float = 4.0
    silence_dbfs: float = -60.0
    silence_after_s: float = 2.0
    final_after_s: float = 3.0


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """What is kept of the stream.

    Args:
        path: The journal, a file; empty for none.
        keep_days: Whole UTC days older than this are removed.
        keep_mb: What the journal may take; above it the oldest messages are removed.
    """

    path: str = ""
    keep_days: float = 90.0
    keep_mb: float = 10_000.0


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One monitored channel.

    Args:
        name: Appears in the stream's topics; ``[a-z0-9_-]+``.
        source: ``soundcard:NAME``, a URL, a path, or ``demo``; ``auto`` is the default sound card
            where there is one and the demo programme elsewhere.
        channels: Input channels of the source that are mixed into this one, counted from 1;
            empty for all of them.
        alarms: What raises and clears each kind of alarm; None as for all channels.
    """

    name: str
    source: str
    channels: tuple[int, ...] = ()
    alarms: Mapping[str, Limits] | None = None


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Who may subscribe from other machines; see docs/security.md.

    Args:
        server_key: File of the daemon's secret key; with it every tcp socket wants keys.
        clients: Directory of the public keys that are let in.
        open: Whether anybody who reaches a socket may subscribe without a key.
    """

    server_key: Path | None = None
    clients: Path | None = None
    open: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the daemon can be told.

    Args:
        model: Name of a bundle in ``models/``, or a path to one.
        hop_s: Seconds from one label to the next; None takes the bundle's own.
        device: What the network runs on.
        runtime: What runs it; ``litert`` takes the bundle's ``model.tflite`` and no TensorFlow.
        publish: ZeroMQ address that the label stream is bound to.
        replay: ZeroMQ address at which the journal answers, if there is one.
        journal: What is kept of the stream.
        sinks: More places that labels go to.
        status: ``HOST:PORT`` of this machine alone for health and metrics over HTTP; None for none.
        security: Who may subscribe from other machines.
        labels: How scores become labels.
        alarms: What raises alarms, and where they go.
        channels: At least one, with distinct names.
    """

    model: str = "speech-music"
    hop_s: float | None = None
    device: Device = "auto"
    runtime: Runtime = "tensorflow"
    publish: str = "tcp://127.0.0.1:5565"
    replay: str = "tcp://127.0.0.1:5566"
    journal: JournalSettings = field(default_factory=JournalSettings)
    sinks: tuple[str, ...] = ()
    status: str | None = None
    security: SecuritySettings = SecuritySettings()
    labels: LabelSettings = field(default_factory=LabelSettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    channels: tuple[ChannelSettings, ...] = (ChannelSettings("main", "auto"),)

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all settings, defaults included, as JSON with sorted keys."""
        said = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()


def load(path: Path) -> Settings:
    """Read settings from a TOML file.

    Raises:
        ConfigError: If the file cannot be read, is not TOML, or says something unusable.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{path} cannot be read: {reason}; name a file that can.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; mend that line.") from error
    try:
        return parse(table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(table: Mapping[str, Any]) -> Settings:
    """Check a table as `tomllib` returns it and turn it into settings.

    Raises:
        ConfigError: If a key is unknown or a value is of the wrong kind or out of range.
    """
    known = {f.name for f in fields(Settings)} - {"channels"} | {"channel"}
    _refuse_unknown(table, known, "")
    chosen = {key: read(key, table[key]) for key, read in _READERS.items() if key in table}
    if "channel" in table:
        kinds = chosen.get("alarms", AlarmSettings()).kinds
        chosen["channels"] = _channels(table["channel"], kinds)
    settings = Settings(**chosen)
    _check_expected(settings)
    return settings


def _check_expected(settings: Settings) -> None:
    names = {channel.name for channel in settings.channels}
    for name in (name for rule in settings.alarms.expected for name in rule.channels):
        if name not in names:
            raise ConfigError(
                f"alarms.expected.channels = {name!r} is no channel's name; name one of "
                f"{', '.join(sorted(names))}."
            )


_LABEL_RANGES = {
    "threshold": (0.01, 0.99),
    "doubt": (0.0, 0.49),
    "min_segment_s": (0.0, 60.0),
    "min_insert_s": (0.0, 60.0),
    "silence_dbfs": (-120.0, -10.0),
    "silence_after_s": (0.1, 600.0),
    "final_after_s": (0.0, 60.0),
}


def _labels(table: Mapping[str, Any]) -> LabelSettings:
    _refuse_unknown(table, {f.name for f in fields(LabelSettings)}, "labels.")
    return LabelSettings(
        **{
            key: _number(
                f"labels.{key}", value, low=_LABEL_RANGES[key][0], high=_LABEL_RANGES[key][1]
            )
            for key, value in table.items()
        }
    )


def _journal(table: Mapping[str, Any]) -> JournalSettings:
    _refuse_unknown(table, {f.name for f in fields(JournalSettings)}, "journal.")
    chosen: dict[str, Any] = {}
    if "path" in table:
        chosen["path"] = _text("journal.path", table["path"])
    for key, low, high in (("keep_days", 1.0, 36_500.0), ("keep_mb", 1.0, 1e7)):
        if key in table:
            chosen[key] = _number(f"journal.{key}", table[key], low=low, high=high)
    return JournalSettings(**chosen)


def _security(table: Mapping[str, Any]) -> SecuritySettings:
    _refuse_unknown(table, {f.name for f in fields(SecuritySettings)}, "security.")
    files = ("server_key", "clients")
    paths = {key: Path(_text(f"security.{key}", table[key])) for key in files if key in table}
    return SecuritySettings(**paths, open=_truth("security.open", table.get("open", False)))


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "model": _text,
    "publish": _text,
    "replay": _text,
    "status": _local_port,
    "sinks": _texts,
    "hop_s": lambda key, value: _number(key, value, low=0.01, high=60.0),
    "device": lambda key, value: _one_of(key, value, get_args(Device)),
    "runtime": lambda key, value: _one_of(key, value, get_args(Runtime)),
    "journal": lambda key, value: _journal(_table(key, value)),
    "security": lambda key, value: _security(_table(key, value)),
    "labels": lambda key, value: _labels(_table(key, value)),
    "alarms": lambda key, value: parse_alarms(_table(key, value)),
}


def _channels(tables: Any, kinds: Mapping[str, Limits]) -> tuple[ChannelSettings, ...]:
    if not isinstance(tables, list) or not tables:
        raise ConfigError("channel must be one or more [[channel]] tables; write [[channel]].")
    channels = tuple(_channel(_table("channel", table), kinds) for table in tables)
    names = [channel.name for channel in channels]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"channel.name = {name!r} is used twice; give each channel its own.")
    return channels


def _channel(table: Mapping[str, Any], kinds: Mapping[str, Limits]) -> ChannelSettings:
    _refuse_unknown(table, {f.name for f in fields(ChannelSettings)}, "channel.")
    for key in ("name", "source"):
        if key not in table:
            raise ConfigError(
                f"channel.{key} is missing; every [[channel]] has a name and a source."
            )
    return ChannelSettings(
        checked_name(_text("channel.name", table["name"])),
        _text("channel.source", table["source"]),
        _inputs(table.get("channels", [])),
        _channel_alarms(table["alarms"], kinds) if "alarms" in table else None,
    )


def _channel_alarms(table: Any, kinds: Mapping[str, Limits]) -> Mapping[str, Limits]:
    return parse_kinds(_table("channel.alarms", table), kinds, "channel.alarms")


def checked_name(name: str) -> str:
    """Return `name` if it can stand in a topic.

    Raises:
        ConfigError: If it has other characters than ``a-z0-9_-``.
    """
    if not CHANNEL_NAME.fullmatch(name):
        raise ConfigError(
            f"channel.name = {name!r} is not made of a-z, 0-9, '_' and '-' alone; rename it."
        )
    return name


def _inputs(value: Any) -> tuple[int, ...]:
    usable = isinstance(value, list) and all(type(n) is int and n >= 1 for n in value)
    if not usable or len(set(value)) != len(value):
        raise ConfigError(
            f"channel.channels = {value!r} must list input channels counted from 1, each once, "
            "such as [3, 4]."
        )
    return tuple(value)
