"""Where labels go: one file a kind, one line of `SINKS` each.

A sink is named by an address: ``tcp://127.0.0.1:5565`` or ``ipc:///run/rtclassify/labels`` for
the label stream, ``jsonl:PATH`` (``jsonl:-`` for standard output) for the same messages as lines,
``mqtt://HOST`` or ``mqtts://HOST`` for a broker that keeps the newest of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtclassify.errors import DependencyError, SinkError
from rtclassify.events import Sink
from rtclassify.sinks.wire import Encoder

if TYPE_CHECKING:
    from rtclassify.keys import ServerKeys

Maker = Callable[[str, Encoder, "ServerKeys | None"], Sink]


def _zmq(address: str, encoder: Encoder, keys: ServerKeys | None) -> Sink:
    from rtclassify.sinks.zmq import ZmqSink

    return ZmqSink(address, encoder, keys)


def _mqtt(address: str, encoder: Encoder, _keys: ServerKeys | None) -> Sink:
    try:
        from rtclassify.sinks.mqtt import MqttSink
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{without_password(address)} wants paho-mqtt, which is not installed; "
            "pip install 'rtclassify[mqtt]'."
        ) from error
    return MqttSink(address, encoder)


def _jsonl(address: str, encoder: Encoder, _keys: ServerKeys | None) -> Sink:
    from rtclassify.sinks.jsonl import JsonlSink

    return JsonlSink(address.removeprefix("jsonl:"), encoder)


SINKS: dict[str, Maker] = {
    "tcp": _zmq,
    "ipc": _zmq,
    "jsonl": _jsonl,
    "mqtt": _mqtt,
    "mqtts": _mqtt,
}


def open_sink(address: str, encoder: Encoder, keys: ServerKeys | None = None) -> Sink:
    """Make the sink that `address` names, not yet entered.

    Args:
        address: Where messages are to go.
        encoder: Makes the messages; the sinks of one stream share it.
        keys: Whom tcp sockets let in; None for everybody.

    Raises:
        SinkError: If no kind of sink takes such an address.
        DependencyError: If a package that this kind wants is not installed.
    """
    scheme = address.partition(":")[0]
    if scheme not in SINKS:
        known = ", ".join(SINKS)
        raise SinkError(f"{address!r} is not an address that labels can go to; use {known}.")
    return SINKS[scheme](address, encoder, keys)


def without_password(address: str) -> str:
    """Return `address` as it may be shown."""
    return re.sub(r"(://[^/:@]*):.*@", r"\1@", address)
