"""Sockets with keys: whom a socket lets in, and whom a subscriber trusts.

ZeroMQ's CURVE encrypts a connection and proves who is at either end. `rtclassify.keys` has the
keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import zmq
from zmq.utils.monitor import recv_monitor_message

from rtclassify.keys import ClientKeys, ServerKeys

log = logging.getLogger(__name__)

REFUSALS_EVERY_S = 60.0

ATTEMPTS = 5
"""A connection may break while hands are shaken; so many in a row mean that they never will."""

_MISMATCH = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH


def secure(socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
    """Make a socket, before it is bound, take connections of allowed clients alone.

    Its context needs one `doorkeeper`; without, nobody is let in.
    """
    socket.curve_server = True
    socket.curve_publickey = keys.public
    socket.curve_secretkey = keys.secret


def identify(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Make a socket, before it connects, show its key and insist on the daemon's."""
    socket.curve_publickey = keys.public
    socket.curve_secretkey = keys.secret
    socket.curve_serverkey = keys.server


@contextmanager
def doorkeeper(context: zmq.Context[zmq.Socket[bytes]], keys: ServerKeys) -> Iterator[None]:
    """Decide, on a thread of its own, who is let in to the secured sockets of a context.

    Open it before any of the sockets is bound, once a context.
    """
    from zmq.auth.thread import ThreadAuthenticator

    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    try:
        authenticator.configure_curve_callback("*", _GuestList(keys.clients))
        yield
    finally:
        authenticator.stop()


class _GuestList:
    """Knows allowed keys; logs the others, once a minute at most. Owned by its thread."""

    def __init__(self, clients: Mapping[bytes, str]) -> None:
        self._clients = clients
        self._quiet_until_s = 0.0
        self._refused = 0

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether `key`, in Z85, is let in; `zmq.auth` wants this name."""
        if key in self._clients:
            return True
        self._refused += 1
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s:
            log.warning(
                "refused a subscriber whose key %s is not allowed, %d in all; "
                "`rtclassify keys allow` lets it in",
                key.decode(), self._refused,
            )  # fmt: skip
            self._quiet_until_s = now_s + REFUSALS_EVERY_S
        return False


class Handshake:
    """Tells why a connecting socket is not let in. Owned by the socket's thread.

    Args:
        socket: Not yet connected.
        keys: Whether it was made to `identify` itself.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, keys: bool) -> None:
        self._socket = socket
        self._keys = keys
        self._failures = 0
        self.monitor = socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_SUCCEEDED
        )

    def close(self) -> None:
        """Stop listening; before the socket closes."""
        self._socket.disable_monitor()
        self.monitor.close(linger=0)

    def refusal(self) -> str | None:
        """Take the monitor's next event, which is there; say what is wrong and what to do.

        Returns:
            The end of a sentence about the address, or None while it may still go well.
        """
        event = recv_monitor_message(self.monitor)
        if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._failures = 0
            return None
        if event["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return "does not allow this key; have its .key file allowed there"
        self._failures += 1
        mismatch = event["value"] == _MISMATCH
        if not mismatch and self._failures < ATTEMPTS:
            return None
        if not self._keys:
            return "lets in holders of keys alone; give your key and its own (--key, --server)"
        if mismatch:
            return "takes no keys; leave them away (--key, --server)"
        return "has another key than was expected, or takes none; give its public one (--server)"
