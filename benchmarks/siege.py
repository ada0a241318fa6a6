"""Everybody around a daemon misbehaves at once, on threads of this process.

Half-finished HTTP requests, a client that asks for metrics without a pause, strangers who try
their keys, a flood of bad requests from one who is let in, a webhook that never answers, a broker
that is stalled, and a disk on which nothing has room.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import zmq
from rigs.mosquitto import Broker

from rtclassify.curve import identify
from rtclassify.keys import ClientKeys, client_keys

CROWD = 1000
STRANGERS = 60
ROOM = 20_000
"""Bytes that a file may have on a full disk: the journal's next commit has more."""

_random = random.Random(0)  # noqa: S311 - not for secrets
BAD_REQUESTS = [
    *([_random.randbytes(_random.randrange(300))] for _ in range(50)),
    [b"[" * 4_000],
    [b'{"v":1,"ask":"topic","topic":"label/main/","epoch":"e","from":-1}'],
    [b'{"v":1,"ask":"utc","from":"2020-01-01T00:00:00Z"}'],
    [b""] * 1_000,
    [_random.randbytes(4_000)] * 1_000,
]


@dataclass
class Siege:
    """What is besieged, and what was done to it.

    Args:
        folder: Holds the keys.
        pid: The daemon's process.
        stream: Its ports.
        replay: See above.
        status: See above.
        broker: The broker that it sends to.
    """

    folder: Path
    pid: int
    stream: int
    replay: int
    status: int
    broker: Broker
    done: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def laid(self) -> Iterator[None]:
        """Misbehave for as long as the block runs."""
        attacks = [
            threading.Thread(target=attack)
            for attack in (self._crowd, self._ask, self._knock, self._flood)
        ]
        self.broker.stall()
        with full_disk(self.pid):
            for attack in attacks:
                attack.start()
            try:
                yield
            finally:
                self.over.set()
                for attack in attacks:
                    attack.join()
        self.broker.go_on()

    def _crowd(self) -> None:
        """Connect a thousand clients that say half a request, or no HTTP at all, over and over."""
        while not self.over.is_set():
            with contextlib.ExitStack() as clients:
                for number in range(CROWD):
                    client = clients.enter_context(socket.socket())
                    client.setblocking(False)
                    client.connect_ex(("127.0.0.1", self.status))
                    with contextlib.suppress(OSError):
                        client.send(b"GET /met" if number % 2 else bytes(range(256)))
                self.done["unfinished HTTP requests"] += CROWD
                self.over.wait(1.0)

    def _ask(self) -> None:
        """Ask for metrics without a pause."""
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{self.status}/metrics"
                urllib.request.urlopen(url, timeout=1.0).read()

    def _knock(self) -> None:
        """Try to subscribe, some with a key that is not allowed, some without."""
        boris = self._keys("boris")
        while not self.over.is_set():
            with zmq.Context() as context, contextlib.ExitStack() as strangers:
                for number in range(STRANGERS):
                    stranger = strangers.enter_context(context.socket(zmq.SUB))
                    stranger.linger, stranger.reconnect_ivl = 0, 10
                    if number % 2:
                        identify(stranger, boris)
                    stranger.connect(f"tcp://127.0.0.1:{self.stream}")
                    self.done["strangers"] += 1
                self.over.wait(0.5)

    def _flood(self) -> None:
        """Send bad requests as fast as they are taken; fetch what is answered."""
        with zmq.Context() as context, context.socket(zmq.DEALER) as vandal:
            vandal.linger, vandal.sndtimeo = 0, 100
            identify(vandal, self._keys("anna"))
            vandal.connect(f"tcp://127.0.0.1:{self.replay}")
            while not self.over.is_set():
                for frames in BAD_REQUESTS:
                    with contextlib.suppress(zmq.Again):
                        vandal.send_multipart(frames)
                while vandal.poll(0):
                    vandal.recv_multipart()
                    self.done["bad requests answered"] += 1

    def _keys(self, name: str) -> ClientKeys:
        return client_keys(self.folder / f"{name}.key_secret", self.folder / "server.key")


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """Let no file of a process grow; those that are larger already are written no further."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class DeafHook:
    """A web server that takes every connection and never answers; opened by ``with``.

    Attributes:
        port: Where it listens.
        taken: Connections taken.
    """

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in (self._listener, *self.taken):
            connection.close()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self._listener.accept()[0])
