"""A small HTTP server that no client can make anybody wait for.

It lives on a thread of its own, answers GET only, closes each connection after one answer, and
bounds everything that a client could use up: connections a second, connections at once, bytes,
seconds. What cannot be taken is left to the kernel or closed, oldest first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

PACE_S = 0.01
"""Between two connections taken, which bounds what a flood of them costs."""

AT_ONCE = 64
PATIENCE_S = 2.0
LONGEST_REQUEST = 8192
STOPPING_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client."""

    body: bytes
    kind: str
    status: HTTPStatus = HTTPStatus.OK


class HttpServer:
    """Serve a listening socket from a thread of its own; opened by ``with``.

    Args:
        listener: Bound and listening; closed at the end.
        answer: Called on the server's thread with the path asked for; None for what is not there.

    Attributes:
        talks: Connections that are open, oldest first; the server's thread owns them.
    """

    def __init__(self, listener: socket.socket, answer: Callable[[str], Answer | None]) -> None:
        self._listener = listener
        self._answer = answer
        self._loop = asyncio.new_event_loop()
        self.talks: dict[asyncio.Task[None], socket.socket] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._listener.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and end the thread."""
        # To cancel an accept can lose a connection, so one comes and finds that it is over.
        self._stopping = True
        with socket.socket(self._listener.family) as last:
            last.setblocking(False)
            last.connect_ex(self._listener.getsockname())
            self._thread.join(STOPPING_S)

    def _run(self) -> None:
        with self._listener, contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        while not self._stopping:
            # Too many open files in this process: they will be fewer.
            with contextlib.suppress(OSError):
                connection, _ = await self._loop.sock_accept(self._listener)
                if len(self.talks) >= AT_ONCE:
                    next(iter(self.talks)).cancel()
                talk = self._loop.create_task(self._talk(connection))
                self.talks[talk] = connection
                talk.add_done_callback(self._ended)
            await asyncio.sleep(PACE_S)
        for talk in self.talks:
            talk.cancel()
        await asyncio.gather(*self.talks, return_exceptions=True)

    async def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE_S):
                request = b""
                while b"\r\n\r\n" not in request:
                    part = await self._loop.sock_recv(connection, LONGEST_REQUEST)
                    request += part
                    if not part or len(request) > LONGEST_REQUEST:
                        return
                    await asyncio.sleep(PACE_S)
                await self._loop.sock_sendall(connection, self._reply(request))

    def _ended(self, talk: asyncio.Task[None]) -> None:
        self.talks.pop(talk).close()

    def _reply(self, request: bytes) -> bytes:
        method, _, rest = request.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        answer = _WRONG_METHOD if method != "GET" else self._answer(path) or _NOT_FOUND
        head = (
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
            f"Content-Type: {answer.kind}\r\nContent-Length: {len(answer.body)}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + answer.body


_NOT_FOUND = Answer(b"see /health, /ready, /metrics\n", "text/plain", HTTPStatus.NOT_FOUND)
_WRONG_METHOD = Answer(b"only GET is answered\n", "text/plain", HTTPStatus.METHOD_NOT_ALLOWED)
