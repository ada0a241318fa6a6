"""Whether the daemon is alive and labels, and its metrics, over HTTP for this machine alone."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Self

from prometheus_client import CONTENT_TYPE_LATEST

from rtclassify.clock import Clock
from rtclassify.errors import SinkError
from rtclassify.events import ChannelStatus, Event, Heartbeat, Label
from rtclassify.sinks.http import Answer, HttpServer
from rtclassify.sinks.metrics import Metrics
from rtclassify.sinks.wire import Encoder

BACKLOG = 16
STALLED_S = 10.0
"""A turn takes a tenth of a second; after so long without one something hangs."""

HOPS_LATE = 4
SLACK_S = 1.0


class StatusSink:
    """Answer ``/health``, ``/ready`` and ``/metrics``.

    Events are noted by the thinking thread and read by the server's; each note is one assignment.

    Args:
        address: ``HOST:PORT``, port 0 for a free one.
        encoder: Knows what holds for every event, and how the journal is.
        clock: Tells ages.
    """

    def __init__(self, address: str, encoder: Encoder, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        info = encoder.info
        self._late_s = HOPS_LATE * info.hop / info.rate + SLACK_S
        self._metrics = Metrics(encoder)
        self._turned_s: float | None = None
        self._labelled_s: dict[str, float] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin to answer.

        Raises:
            SinkError: If the port is in use or not permitted.
        """
        host, _, port = self._address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server(
                (host.strip("[]"), int(port)), family=family, backlog=BACKLOG
            )
        except OSError as error:
            raise SinkError(
                f"status = {self._address!r} cannot be served: {os.strerror(error.errno or 0)}; "
                "choose another port."
            ) from error
        self.port: int = listener.getsockname()[1]
        self._stack.enter_context(HttpServer(listener, self._answer))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering."""
        self._stack.close()

    def send(self, events: Sequence[Event]) -> None:
        """Note the turn of the loop and what it brought."""
        now_s = self._clock.now()
        self._turned_s = now_s
        self._metrics.turns.inc()
        for event in events:
            match event:
                case Label():
                    self._labelled_s[event.channel] = now_s
                    self._metrics.count(event, now_s)
                case Heartbeat():
                    self._metrics.channels = event.channels

    def _answer(self, path: str) -> Answer | None:
        match path:
            case "/health":
                return self._health()
            case "/ready":
                return self._ready()
            case "/metrics":
                return Answer(self._metrics.text(), CONTENT_TYPE_LATEST)
        return None

    def _health(self) -> Answer:
        turned_s = self._turned_s
        age_s = None if turned_s is None else round(self._clock.now() - turned_s, 3)
        alive = age_s is None or age_s <= STALLED_S
        return _json({"alive": alive, "last_turn_s_ago": age_s}, good=alive)

    def _ready(self) -> Answer:
        now_s = self._clock.now()
        channels = {s.channel: self._lateness(s, now_s) for s in self._metrics.channels}
        ready = bool(channels) and not any(channels.values())
        return _json({"ready": ready, "channels": channels}, good=ready)

    def _lateness(self, status: ChannelStatus, now_s: float) -> str | None:
        """Say why a channel is not labelled; None if it is."""
        age_s = now_s - self._labelled_s.get(status.channel, float("-inf"))
        if age_s <= self._late_s:
            return None
        if status.state == "no-capture":
            return f"no-capture: {status.reason}"
        return "no label yet" if age_s == float("inf") else f"no label for {age_s:.1f} s"


def _json(body: Mapping[str, Any], *, good: bool) -> Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(json.dumps(body).encode() + b"\n", "application/json", status)
