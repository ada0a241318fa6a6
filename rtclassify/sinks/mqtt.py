"""The newest of the label stream at an MQTT broker, retained, for home and building automation.

A broker keeps one message a topic, so this is no record: final labels are not sent, and while a
broker is away or slow, older messages give way to newer ones of their topic. docs/integrations.md
lists the topics.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from rtclassify.errors import SinkError
from rtclassify.events import Event
from rtclassify.sinks import without_password
from rtclassify.sinks.discovery import discovery
from rtclassify.sinks.message import Message
from rtclassify.sinks.wire import Encoder

log = logging.getLogger(__name__)

PORTS = {"mqtt": 1883, "mqtts": 8883}
PREFIX = "rtclassify"
QUEUE = 1000
"""Messages on their way to the broker, some 500 kB, before those that wait give way to newer."""

KEEPALIVE_S = 15
SLOWEST_RETRY_S = 30
LOSSES_EVERY_S = 60.0
CLOSING_S = 1.0

TAKES = "takes labels"
"""What is said of a broker that is there."""


class MqttSink:
    """Publish the newest message of each topic, and whether the daemon is there at all.

    The network belongs to paho-mqtt's thread, and publishing only appends to its queue, so a
    broker that is away, stalled or unfriendly delays nothing. All else is owned by one thread.

    Args:
        address: ``mqtt://[USER[:PASSWORD]@]HOST[:PORT][/PREFIX]``, or ``mqtts://…`` for TLS with
            the system's certificates. USER and PASSWORD are percent-encoded.
        encoder: Makes the messages.

    Raises:
        SinkError: If the address is not such a one.
    """

    def __init__(self, address: str, encoder: Encoder) -> None:
        self._name = without_password(address)
        self._host, self._port, self.prefix = _parsed(address)
        self._client = _client(address)
        self._client.reconnect_delay_set(1, SLOWEST_RETRY_S)
        self._client.will_set(f"{self.prefix}/status", "offline", qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._encoder = encoder
        self._newest: dict[str, bytes] = {}
        self._waiting: dict[str, bytes] = {}
        self._sent: deque[MQTTMessageInfo] = deque()
        self._dropped = 0
        self._quiet_until_s = 0.0
        self._joined = threading.Event()
        self._said = ""

    @property
    def connected(self) -> bool:
        """Whether the broker takes messages now.

        paho-mqtt says so a moment before `_on_connect` has begun to speak.
        """
        return self._said == TAKES and self._client.is_connected()

    def __enter__(self) -> Self:
        """Begin to connect, now and whenever the connection is lost."""
        self._client.connect_async(self._host, self._port, KEEPALIVE_S)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        """Deliver what waits and say that the daemon is gone, for at most a second."""
        due = time.monotonic() + CLOSING_S
        while self.connected and self._waiting and time.monotonic() < due:
            self._deliver()
            time.sleep(0.01)
        self._client.on_disconnect = None
        stop = threading.Thread(target=self._client.loop_stop, daemon=True)
        if self._said_goodbye(due):
            self._client.disconnect()
            stop.start()
        else:
            stop.start()
            self._vanish()
        # What is stopped may be looking up a name.
        stop.join(max(0.1, due - time.monotonic()))

    def _said_goodbye(self, due: float) -> bool:
        if not self.connected:
            return True
        last = self._client.publish(f"{self.prefix}/status", "offline", qos=1, retain=True)
        if not last.rc:
            last.wait_for_publish(max(0.0, due - time.monotonic()))
        return not last.rc and last.is_published()

    def _vanish(self) -> None:
        """Leave a stalled broker without a word, so that it publishes the last will."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def send(self, events: Sequence[Event]) -> None:
        """Hand messages to the broker's queue, or keep the newest until it has room."""
        for message in self._encoder.messages(events):
            if message.kind == "heartbeat":
                self._introduce([channel["channel"] for channel in message.body["channels"]])
            if not message.body.get("final"):
                self._offer(self._topic(message), message.frames()[1])
        self._deliver()

    def _topic(self, message: Message) -> str:
        return f"{self.prefix}/{message.topic.rstrip('/')}"

    def _introduce(self, channels: Sequence[str]) -> None:
        for channel in channels:
            for topic, payload in discovery(self.prefix, channel, self._encoder.info.model).items():
                if topic not in self._newest:
                    self._offer(topic, payload)

    def _offer(self, topic: str, payload: bytes) -> None:
        self._newest[topic] = payload
        # What replaces an older one is delivered in its own turn.
        if self._waiting.pop(topic, None) is not None:
            self._dropped += 1
        self._waiting[topic] = payload
        self._deliver()

    def _deliver(self) -> None:
        if not self.connected:
            return
        if self._joined.is_set():
            # A broker that was started anew may have forgotten what it was to keep.
            self._joined.clear()
            self._waiting = dict(self._newest)
        while self._waiting:
            topic = next(iter(self._waiting))
            if self._queued() >= QUEUE:
                return
            # Nothing is sent twice: old state after new would stay at the broker.
            self._sent.append(self._client.publish(topic, self._waiting.pop(topic), retain=True))
        if self._dropped and time.monotonic() >= self._quiet_until_s:
            log.warning("%s missed %d messages, not the newest", self._name, self._dropped)
            self._dropped, self._quiet_until_s = 0, time.monotonic() + LOSSES_EVERY_S

    def _queued(self) -> int:
        while self._sent and _has_left(self._sent[0]):
            self._sent.popleft()
        return len(self._sent)

    def _on_connect(
        self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._say(f"refuses us: {reason}; check user and password, labelling goes on")
            return
        client.publish(f"{self.prefix}/status", "online", retain=True)
        self._joined.set()
        self._say(TAKES)

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        self._say("cannot be reached; trying again, the newest labels are kept for it")

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any
    ) -> None:
        if self._said == TAKES:
            self._say("is gone; trying again, the newest labels are kept for it")

    def _say(self, news: str) -> None:
        """Log what is new; called by paho-mqtt's thread alone."""
        if news != self._said:
            log.log(logging.INFO if news == TAKES else logging.WARNING, "%s %s", self._name, news)
            self._said = news


def _has_left(sent: MQTTMessageInfo) -> bool:
    try:
        return sent.is_published()
    except RuntimeError:
        return True  # it was lost with its connection


def _client(address: str) -> Client:
    parts = urlsplit(address)
    client = Client(CallbackAPIVersion.VERSION2)
    if parts.username is not None:
        password = None if parts.password is None else unquote(parts.password)
        client.username_pw_set(unquote(parts.username), password)
    if parts.scheme == "mqtts":
        client.tls_set()
    return client


def _parsed(address: str) -> tuple[str, int, str]:
    """Return host, port and prefix of the topics."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        host, port = None, 0
    prefix = unquote(parts.path).strip("/") or PREFIX if host else ""
    if not host or parts.query or parts.fragment or re.search(r"[+#@\0]", prefix):
        raise SinkError(
            f"{without_password(address)} is no address of a broker; write "
            "mqtt://[USER[:PASSWORD]@]HOST[:PORT][/PREFIX]."
        )
    return host, port, prefix
