"""A message of the label stream: a topic and a JSON object.

Within one `VERSION` fields are only ever added, so whoever reads messages ignores what it does not
know. `rtclassify.sinks.wire` knows the fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

VERSION = 1


@dataclass(frozen=True)
class Message:
    """One message of the stream.

    Args:
        topic: ``kind/channel/``, or ``heartbeat/``, which belongs to no channel. It ends in a
            slash because subscribers match prefixes: ``label/ch1`` would also match ``ch10``.
        body: The JSON object.
    """

    topic: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """``label``, ``segment``, ``state``, ``alarm`` or ``heartbeat``."""
        return self.topic.partition("/")[0]

    @cached_property
    def payload(self) -> bytes:
        """The body as it travels on a socket and is journalled, made once."""
        return _json(self.body)

    def frames(self) -> tuple[bytes, bytes]:
        """Return the topic and the body as they travel on a socket."""
        return self.topic.encode(), self.payload

    def line(self) -> bytes:
        """Return one line of JSON that holds the topic as well, newline included."""
        return _json({"topic": self.topic, **self.body}) + b"\n"


def decode(topic: bytes, payload: bytes) -> Message:
    """Read the two frames of a message back.

    Raises:
        ValueError: If they are not a message of this version.
    """
    try:
        body = json.loads(payload.decode())
    except ValueError:
        body = None
    if not isinstance(body, dict) or body.get("v") != VERSION:
        raise ValueError(f"{payload[:40]!r} is not a message of version {VERSION}")
    return Message(topic.decode(), body)


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Names that come from the system may hold bytes that are no UTF-8.
        told = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return told.encode(errors="replace")
