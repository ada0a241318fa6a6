"""How the journal's rows are chained by digests.

A row's digest covers the digest of the row before it and the row itself, so no row can be
changed, put in or taken out without a trace. Rows of the topic `CHAIN` are the journal's own: one
opens each UTC day and each start of the program, and names the day, the digests of the model and
the settings, and the last digest before it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

CHAIN = "chain/"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as it is journalled.

    Args:
        utc_ms: When it was sent, in milliseconds since 1970.
        topic: Its topic.
        epoch: The start of the program that sent it.
        seq: Its number within topic and epoch.
        body: The JSON object, byte for byte as it was sent.
    """

    utc_ms: int
    topic: str
    epoch: str
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the chain: a row's number and its digest."""

    id: int
    digest: bytes


START = Mark(0, bytes(32))
"""What comes before the first row of all."""


def digest_of(before: bytes, entry: Entry) -> bytes:
    """Return the SHA-256 that chains `entry` to the digest `before` it."""
    head = json.dumps([entry.utc_ms, entry.topic, entry.epoch, entry.seq])
    return hashlib.sha256(b"%b%b\n%b" % (before, head.encode(), entry.body)).digest()


def day_of(utc_ms: int) -> str:
    """Return the UTC day, as in 2026-03-14."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).date().isoformat()
