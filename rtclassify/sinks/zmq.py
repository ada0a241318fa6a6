"""The label stream on a ZeroMQ socket: the publisher, and the subscription that `watch` uses.

Nothing that a subscriber does can stop or slow labelling. To one that does not keep up messages
are dropped once its queue is full, and it learns of that from their numbers; what subscribers
send is read, bounded, and thrown away.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import zmq

from rtclassify.checks import HIGHEST_PORT
from rtclassify.curve import Handshake, doorkeeper, identify, secure
from rtclassify.errors import SinkError, UsageError
from rtclassify.events import Event
from rtclassify.keys import ClientKeys, ServerKeys
from rtclassify.sinks.locks import sole_owner
from rtclassify.sinks.message import Message, decode
from rtclassify.sinks.wire import Encoder

QUEUE = 10_000
"""Messages that wait for one subscriber, some 5 MB, before the newest are dropped."""

LINGER_MS = 1000
SUBSCRIPTIONS_A_TURN = 100
LONGEST_SUBSCRIPTION = 1024
"""Bytes; a subscriber that sends more at once is disconnected."""

_BIND_FAILURES = {
    errno.EADDRINUSE: "is in use by another program; stop that one or publish elsewhere",
    errno.EADDRNOTAVAIL: "is no address of this machine; use one that is, such as 127.0.0.1",
    errno.ENODEV: "is no address of this machine; use one that is, such as 127.0.0.1",
    errno.EACCES: "may not be opened by this user; choose another port or directory",
    errno.ENOENT: "is in a directory that does not exist; make it first",
    errno.ENAMETOOLONG: "is too long a path for a socket; choose one under 100 characters",
    errno.EINVAL: "is not a complete address; write tcp://HOST:PORT or ipc:///PATH",
}


class ZmqSink:
    """Publish events on an XPUB socket that is bound to `address`.

    Owned by one thread, which also polls the socket at each `send`, so that subscriptions are
    served between events too.

    Args:
        address: ``tcp://HOST:PORT`` (port ``*`` takes a free one) or ``ipc:///PATH``.
        encoder: Makes the messages.
        keys: Let holders of allowed keys alone into a tcp socket; None lets in everybody. The
            permissions of an ipc socket guard it.
    """

    def __init__(self, address: str, encoder: Encoder, keys: ServerKeys | None = None) -> None:
        self._asked = address
        self._keys = keys
        self._encoder = encoder
        self._stack = ExitStack()
        self._socket: zmq.Socket[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the open socket is bound: the port is a number, whatever was asked for."""
        return self._open_socket.get_string(zmq.LAST_ENDPOINT)

    def __enter__(self) -> Self:
        """Bind the socket.

        Raises:
            SinkError: If the address is in use, unusable or not permitted.
        """
        with ExitStack() as stack:
            self._socket = stack.enter_context(
                bound(zmq.XPUB, self._asked, self._keys, queue=QUEUE, longest=LONGEST_SUBSCRIPTION)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Deliver what is queued, for at most a second, and close."""
        self._socket = None
        self._stack.close()

    def send(self, events: Sequence[Event]) -> None:
        """Serve subscriptions, then queue one message an event for whoever subscribes to it."""
        socket = self._open_socket
        for _ in range(SUBSCRIPTIONS_A_TURN):
            if not socket.poll(0):
                break
            socket.recv_multipart(zmq.NOBLOCK)
        for message in self._encoder.messages(events):
            topic, payload = message.frames()
            socket.send(topic, zmq.SNDMORE | zmq.NOBLOCK)
            socket.send(payload, zmq.NOBLOCK)

    @property
    def _open_socket(self) -> zmq.Socket[bytes]:
        if self._socket is None:
            raise AssertionError("the sink is not open")
        return self._socket


class Subscription:
    """Messages of a label stream, as they arrive; opened by ``with``, owned by one thread.

    Args:
        address: Where the stream is published.
        topics: Prefixes of the topics wanted.
        keys: What a daemon that lets in holders of keys alone is to be shown.
    """

    def __init__(self, address: str, topics: Sequence[str], keys: ClientKeys | None = None) -> None:
        self._address = address
        self._topics = topics
        self._keys = keys
        self._stack = ExitStack()
        self._poller = zmq.Poller()
        self._socket: zmq.Socket[bytes] | None = None

    def __enter__(self) -> Self:
        """Begin to connect, now and whenever the connection is lost.

        Raises:
            UsageError: If the address cannot be connected to by anyone.
        """
        with ExitStack() as stack:
            context = stack.enter_context(zmq.Context())
            socket = stack.enter_context(context.socket(zmq.SUB))
            socket.linger = 0
            for topic in self._topics:
                socket.subscribe(topic)
            if self._keys:
                identify(socket, self._keys)
            self._handshake = Handshake(socket, keys=self._keys is not None)
            stack.callback(self._handshake.close)
            self._poller.register(socket, zmq.POLLIN)
            self._poller.register(self._handshake.monitor, zmq.POLLIN)
            try:
                socket.connect(self._address)
            except zmq.ZMQError as error:
                raise UsageError(
                    f"{self._address!r} is not an address to subscribe to; write tcp://HOST:PORT "
                    "or ipc:///PATH."
                ) from error
            self._socket = socket
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._socket = None
        self._stack.close()

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, or None when none came in time.

        Raises:
            UsageError: If what publishes at the address is not a label stream, or does not let
                this subscriber in.
        """
        if self._socket is None:
            raise AssertionError("the subscription is not open")
        if not self._ready(self._socket, timeout_s):
            return None
        try:
            topic, payload = self._socket.recv_multipart(zmq.NOBLOCK)
            return decode(topic, payload)
        except ValueError as error:
            raise UsageError(
                f"{self._address} publishes something else than labels of this version ({error}); "
                "give the address of `rtclassify run`."
            ) from error

    def _ready(self, socket: zmq.Socket[bytes], timeout_s: float) -> bool:
        """Wait for a message, or for news that there will be none."""
        due = time.monotonic() + timeout_s
        while ready := dict(self._poller.poll(max(0, round((due - time.monotonic()) * 1000)))):
            if socket in ready:
                return True
            if reason := self._handshake.refusal():
                raise UsageError(f"{self._address} {reason}.")
        return False


@contextmanager
def bound(
    kind: int, address: str, keys: ServerKeys | None, *, queue: int, longest: int
) -> Iterator[zmq.Socket[bytes]]:
    """Open a socket that is bound to `address`, for whoever may reach it.

    Args:
        kind: Such as `zmq.XPUB`.
        address: ``tcp://HOST:PORT`` or ``ipc:///PATH``.
        keys: Whom a tcp socket lets in; None for everybody.
        queue: Messages that wait for, or come from, one peer.
        longest: Bytes; a peer that sends more at once is disconnected.

    Raises:
        SinkError: If the address is in use, unusable or not permitted.
    """
    with ExitStack() as stack:
        if address.startswith("ipc://"):
            stack.enter_context(_alone(_path_of(address)))
        context = stack.enter_context(zmq.Context())
        locked = keys if address.startswith("tcp://") else None
        if locked:
            stack.enter_context(doorkeeper(context, locked))
        socket = stack.enter_context(context.socket(kind))
        if locked:
            secure(socket, locked)
        socket.linger = LINGER_MS
        socket.sndhwm = socket.rcvhwm = queue
        socket.maxmsgsize = longest
        _bind(socket, address)
        yield socket


def _bind(socket: zmq.Socket[bytes], address: str) -> None:
    port = address.rpartition(":")[2]
    if port.isdecimal() and int(port) > HIGHEST_PORT:
        # ZeroMQ would take it modulo 65,536.
        raise SinkError(f"{address} has a port above {HIGHEST_PORT}; choose one up to that.")
    # An ipc socket is made 0660 from the start: its group may subscribe, nobody else.
    mask = os.umask(0o117)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise _failure(address, error.errno, error) from error
    finally:
        os.umask(mask)


def _path_of(address: str) -> Path:
    path = Path(address.removeprefix("ipc://"))
    if not path.is_absolute():
        raise SinkError(f"{address} has no absolute path; write ipc:///run/rtclassify/labels.")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return path
    except OSError as error:
        raise _failure(address, error.errno, error) from error
    if not stat.S_ISSOCK(mode):
        # Binding would delete it.
        raise SinkError(f"{path} exists and is not a socket; publish on another path.")
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from a live ipc path: binding it again succeeds and takes it away."""
    with ExitStack() as stack:
        try:
            stack.enter_context(sole_owner(path))
        except BlockingIOError as error:
            raise _failure(f"ipc://{path}", errno.EADDRINUSE, error) from error
        except OSError as error:
            raise _failure(f"ipc://{path}", error.errno, error) from error
        yield


def _failure(address: str, number: int | None, error: Exception) -> SinkError:
    why = _BIND_FAILURES.get(number or 0, f"cannot be bound ({error}); choose another")
    return SinkError(f"{address} {why}.")
