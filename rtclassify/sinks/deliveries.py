"""Alarms to a command and to a webhook, which may be slow, refuse, or be dead.

Each has a thread of its own and a short queue, so labelling never waits. Messages go one after
the other, each until it is taken or given up; when the queue is full the oldest is dropped,
because what is true now matters more. What is dropped or given up is counted and logged.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Self
from urllib.error import HTTPError

from rtclassify.alarm_settings import AlarmSettings
from rtclassify.events import Event
from rtclassify.sinks.message import Message
from rtclassify.sinks.wire import Encoder

QUEUE = 100
TIMEOUT_S = 10.0
"""For one attempt."""

WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Before each further attempt; after the last one, some six minutes in all, it is given up."""

CLOSE_S = 1.0

log = logging.getLogger(__name__)

Deliver = Callable[[Message], None]
"""Delivers one message; raises OSError, or subprocess.SubprocessError, if it was not taken."""


class Delivery:
    """A queue and the thread that empties it.

    Args:
        name: For messages.
        deliver: Called by the thread.
        waits_s: Seconds to wait before each further attempt.
    """

    def __init__(self, name: str, deliver: Deliver, *, waits_s: Sequence[float]) -> None:
        self.dropped = 0
        self._name = name
        self._deliver = deliver
        self._waits_s = waits_s
        self._waiting: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"deliver-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, message: Message) -> None:
        """Queue a message; never blocks."""
        with self._changed:
            if len(self._waiting) == QUEUE:
                self._drop(self._waiting.popleft(), "too many wait")
            self._waiting.append(message)
            self._changed.notify()

    def hurry(self) -> None:
        """Try each message that waits once, without waiting in between; take no more."""
        self._closing.set()
        with self._changed:
            self._changed.notify()

    def close(self, limit_s: float) -> None:
        """Leave what a hurry has not delivered after `limit_s`."""
        self.hurry()
        self._thread.join(max(0.0, limit_s))
        with self._changed:
            while self._waiting:
                self._drop(self._waiting.popleft(), "the program ends")

    def _drop(self, message: Message, reason: str) -> None:
        self.dropped += 1
        incident = f"{message.body['kind']} {message.body['state']} of {message.body['channel']}"
        log.error("%s: alarm %s not delivered: %s (%d so far)",
                  self._name, incident, reason, self.dropped)  # fmt: skip

    def _run(self) -> None:
        while (message := self._next()) is not None:
            self._insist(message)

    def _next(self) -> Message | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            return self._waiting.popleft() if self._waiting else None

    def _insist(self, message: Message) -> None:
        failure: Exception | None = None
        for wait_s in (0.0, *self._waits_s):
            if failure and self._closing.wait(wait_s):
                break
            try:
                self._deliver(message)
            except (OSError, subprocess.SubprocessError) as error:
                if failure is None:
                    log.warning("%s: %s; trying again", self._name, error)
                failure = error
            else:
                return
        with self._changed:
            self._drop(message, str(failure))


class AlarmSink:
    """Deliver alarms besides the stream; owned by the thinking thread.

    Args:
        deliveries: Where they go.
        encoder: Makes the messages, those of the stream.
    """

    def __init__(self, deliveries: Sequence[Delivery], encoder: Encoder) -> None:
        self._deliveries = deliveries
        self._encoder = encoder

    def __enter__(self) -> Self:
        """Start the threads."""
        for delivery in self._deliveries:
            delivery.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Deliver what is pending, for at most a second."""
        deadline = time.monotonic() + CLOSE_S
        for delivery in self._deliveries:
            delivery.hurry()
        for delivery in self._deliveries:
            delivery.close(deadline - time.monotonic())

    def send(self, events: Sequence[Event]) -> None:
        """Queue the alarms among the events; never blocks."""
        for message in self._encoder.messages(events):
            if message.kind == "alarm":
                for delivery in self._deliveries:
                    delivery.put(message)


def open_deliveries(settings: AlarmSettings, encoder: Encoder) -> AlarmSink:
    """Make the sink that delivers alarms to what the settings name, not yet entered."""
    deliveries = []
    if settings.command:
        argv = settings.command
        deliveries.append(Delivery("alarms.command", lambda m: run(argv, m), waits_s=WAITS_S))
    if settings.webhook:
        url = settings.webhook
        deliveries.append(Delivery("alarms.webhook", lambda m: post(url, m), waits_s=WAITS_S))
    return AlarmSink(deliveries, encoder)


def run(argv: Sequence[str], message: Message, *, timeout_s: float = TIMEOUT_S) -> None:
    """Run a command with the alarm as JSON on its standard input; killed when it takes too long.

    Raises:
        OSError: If it cannot be run.
        subprocess.SubprocessError: If it fails or takes too long.
    """
    process = subprocess.Popen(  # noqa: S603 (the operator's own command, no shell)
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, **_environment(message.body)}, start_new_session=True,
    )  # fmt: skip
    try:
        process.communicate(message.line(), timeout_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv[0])


def _environment(body: Mapping[str, Any]) -> dict[str, str]:
    return {f"RTCLASSIFY_{key.upper()}": str(body[key]) for key in ("kind", "channel", "state")}


def post(url: str, message: Message, *, timeout_s: float = TIMEOUT_S) -> None:
    """Post an alarm as JSON.

    Raises:
        OSError: If it is not taken with a status of 2xx.
    """
    request = urllib.request.Request(  # noqa: S310 (the settings allow http and https alone)
        url, message.line(), {"Content-Type": "application/json", "User-Agent": "rtclassify"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310
            pass
    except HTTPError as error:
        with error:
            raise OSError(f"it answered {error.code} {error.reason}") from error
    except HTTPException as error:
        raise OSError(f"it answered with something else than HTTP ({error!r})") from error
