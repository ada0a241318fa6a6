"""Where labels go: one file a kind, one line of `SINKS` each.

A sink is named by an address: ``tcp://127.0.0.1:5565`` or ``ipc:///run/rtclassify/labels`` for
the label stream, ``jsonl:PATH`` (``jsonl:-`` for standard output) for the same messages as lines.
"""

from __future__ import annotations

from collections.abc import Callable

from rtclassify.errors import SinkError
from rtclassify.sinks.wire import Encoder
from rtclassify.stream import Sink


def _zmq(address: str, encoder: Encoder) -> Sink:
    from rtclassify.sinks.zmq import ZmqSink

    return ZmqSink(address, encoder)


def _jsonl(address: str, encoder: Encoder) -> Sink:
    from rtclassify.sinks.jsonl import JsonlSink

    return JsonlSink(address.removeprefix("jsonl:"), encoder)


SINKS: dict[str, Callable[[str, Encoder], Sink]] = {
    "tcp": _zmq,
    "ipc": _zmq,
    "jsonl": _jsonl,
}


def open_sink(address: str, encoder: Encoder) -> Sink:
    """Make the sink that `address` names, not yet entered.

    Args:
        address: Where messages are to go.
        encoder: Makes the messages; the sinks of one stream share it.

    Raises:
        SinkError: If no kind of sink takes such an address.
    """
    scheme = address.partition(":")[0]
    if scheme not in SINKS:
        known = ", ".join(SINKS)
        raise SinkError(f"{address!r} is not an address that labels can go to; use {known}.")
    return SINKS[scheme](address, encoder)
