"""Replay: a second socket on which the journal answers to whoever missed something.

A thread of its own reads the journal through a connection that cannot write, works at most half
of the time, and keeps at most a few answers for each client that does not fetch them. Nothing
that anybody sends can stop or slow labelling. See docs/stream.md for the requests.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import zmq

from rtclassify.keys import ServerKeys
from rtclassify.sinks.answers import answer, refusal
from rtclassify.sinks.reading import file_at, open_for_reading
from rtclassify.sinks.zmq import bound

LONGEST_REQUEST = 4096
"""Bytes; who sends more at once is disconnected."""

ANSWERS = 4
"""Answers, and requests, that wait for one client, some 1 MB, before more are thrown away."""

ROUTE = 2
"""Frames before a request: whom the answer is for, and an empty one if it was sent by a REQ."""

POLL_MS = 100
TURN = 10
LEAST_PAUSE_S = 0.002
CLOSE_S = 5.0


class ReplayServer:
    """Answer requests on a ROUTER socket from the journal at `path`.

    Args:
        address: ``tcp://HOST:PORT`` or ``ipc:///PATH``.
        path: The journal; what is not there yet is asked for in vain, and may be asked for again.
        epoch: The start of the program that is being journalled.
        keys: Whom a tcp socket lets in; None for everybody.
    """

    def __init__(
        self, address: str, path: Path, *, epoch: str, keys: ServerKeys | None = None
    ) -> None:
        self._asked = address
        self._keys = keys
        self._path = path
        self._epoch = epoch
        self._address = address
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where the open socket is bound: the port is a number, whatever was asked for."""
        return self._address

    def __enter__(self) -> Self:
        """Bind the socket and begin to serve.

        Raises:
            SinkError: If the address is in use, unusable or not permitted.
        """
        with ExitStack() as stack:
            socket = stack.enter_context(
                bound(zmq.ROUTER, self._asked, self._keys, queue=ANSWERS, longest=LONGEST_REQUEST)
            )
            self._address = socket.get_string(zmq.LAST_ENDPOINT)
            self._closing.clear()
            # The thread closes the socket that it alone uses from now on.
            self._thread = threading.Thread(
                target=self._serve, args=(socket, stack.pop_all()), name="replay", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the answer in hand and close the socket."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
            self._thread = None

    def _serve(self, socket: zmq.Socket[bytes], stack: ExitStack) -> None:
        with stack:
            socket.router_mandatory = True  # a full queue is an error then, not a silent loss
            while not self._closing.is_set():
                if socket.poll(POLL_MS):
                    began = time.monotonic()
                    for _ in range(TURN):
                        if not self._serves_one(socket):
                            break
                    # Half of the time belongs to those who label.
                    self._closing.wait(max(LEAST_PAUSE_S, time.monotonic() - began))
            self._forget()

    def _serves_one(self, socket: zmq.Socket[bytes]) -> bool:
        # Polling also lets ZeroMQ notice, each time, which answers have been fetched.
        if not socket.poll(0):
            return False
        *route, request = socket.recv_multipart(zmq.NOBLOCK)
        said = self._answer(request) if len(route) <= ROUTE else [refusal("it has many frames")]
        # Clients that have gone, or do not fetch their answers, get none.
        with suppress(zmq.ZMQError):
            socket.send_multipart([*route[:ROUTE], *said], zmq.NOBLOCK)
        return True

    def _answer(self, request: bytes) -> list[bytes]:
        try:
            if file_at(self._path) != self._file:
                self._forget()
            if self._db is None:
                self._db = open_for_reading(self._path)
                self._file = file_at(self._path)
            return answer(self._db, request, epoch=self._epoch)
        except sqlite3.Error as error:
            self._forget()
            return [refusal(f"the journal cannot be read now: {error}")]

    def _forget(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
