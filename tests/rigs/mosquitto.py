"""An MQTT broker on loopback: a private mosquitto that can be killed, stalled and locked."""

from __future__ import annotations

import queue
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from rigs.icecast import free_port

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

USER, PASSWORD = "monitor", "for/this:test@only"
PATIENCE_S = 20.0


class Broker:
    """A mosquitto that keeps nothing on disk.

    Args:
        folder: For its configuration.
        locked: Whether it wants `USER` and `PASSWORD`.
        tls: Whether it speaks TLS, with the certificate `certificate`.
    """

    def __init__(self, folder: Path, *, locked: bool = False, tls: bool = False) -> None:
        self.port = free_port()
        self.certificate = folder / "certificate.pem"
        self._config = folder / "mosquitto.conf"
        lines = ["user root", "persistence false", f"listener {self.port} 127.0.0.1"]
        lines.append(f"allow_anonymous {'false' if locked else 'true'}")
        if locked:
            passwords = folder / "passwords"
            subprocess.run(
                ["mosquitto_passwd", "-c", "-b", str(passwords), USER, PASSWORD], check=True
            )
            lines.append(f"password_file {passwords}")
        if tls:
            key = folder / "key.pem"
            subprocess.run(
                [
                    "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(self.certificate),
                ],
                check=True, capture_output=True,
            )  # fmt: skip
            lines += [f"certfile {self.certificate}", f"keyfile {key}"]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [_mosquitto() or "mosquitto", "-c", str(self._config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < limit, "mosquitto did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it; what it was to keep is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stall(self) -> None:
        """Let it hold its connections and do nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End `stall`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def listener(self, topics: str = "#") -> Listener:
        """Subscribe anew."""
        return Listener(self, topics)


class Listener:
    """A subscriber of a broker; opened by ``with``."""

    def __init__(self, broker: Broker, topics: str) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._topics = topics
        self._broker = broker
        self._heard: queue.Queue[MQTTMessage] = queue.Queue()
        self._subscribed: queue.Queue[None] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.put(None)
        self._client.on_message = lambda _client, _data, message: self._heard.put(message)

    def __enter__(self) -> Self:
        if self._broker.certificate.exists():
            self._client.tls_set(str(self._broker.certificate))
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()
        self._subscribed.get(timeout=PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def next(self, timeout_s: float = PATIENCE_S) -> MQTTMessage:
        """Return the next message that comes."""
        return self._heard.get(timeout=timeout_s)

    def within(self, seconds: float) -> list[MQTTMessage]:
        """Return the next message if it comes in time, and what came with it."""
        heard: list[MQTTMessage] = []
        try:
            heard.append(self._heard.get(timeout=seconds))
            while True:
                heard.append(self._heard.get_nowait())
        except queue.Empty:
            return heard

    def await_(self, topic: str, payload: bytes | None = None) -> MQTTMessage:
        """Return the next message of a topic, and with that payload."""
        while True:
            message = self.next()
            if message.topic == topic and payload in (None, message.payload):
                return message


def _mosquitto() -> str | None:
    # Debian keeps it where only root looks.
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def running(folder: Path, *, locked: bool = False, tls: bool = False) -> Iterator[Broker]:
    """Yield a running broker, or skip the test where there is no mosquitto."""
    if _mosquitto() is None:
        pytest.skip("no mosquitto: apt install mosquitto")
    broker = Broker(folder, locked=locked, tls=tls)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that everybody may use."""
    yield from running(tmp_path)


@pytest.fixture
def locked_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that wants `USER` and `PASSWORD`."""
    yield from running(tmp_path, locked=True)


@pytest.fixture
def tls_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A broker that speaks TLS, whose certificate this machine trusts for the time of the test."""
    for broker in running(tmp_path, tls=True):
        monkeypatch.setenv("SSL_CERT_FILE", str(broker.certificate))
        yield broker
