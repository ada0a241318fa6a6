"""A subscription on real sockets, in a sync and an asyncio form over the same rules."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import zmq
import zmq.asyncio

from rtclassify.client.follow import Follower, Position
from rtclassify.client.items import Item
from rtclassify.errors import UsageError

VERSION = 1
BEAT = "heartbeat/"
TICK_MS = 100
AT_ONCE = 100
"""Messages that are read before requests and answers have their turn."""

SIGN_OF_LIFE_MS = 5_000
"""A peer that is silent for twice as long is connected to anew."""


def subscribe(
    address: str,
    *,
    channels: Sequence[str] = (),
    kinds: Sequence[str] = ("label",),
    replay: str | None = None,
    since: Position | None = None,
) -> Subscription:
    """Follow a label stream: iterate over what this returns.

    Args:
        address: Where `rtclassify run` publishes.
        channels: Channels to follow; none for all of them.
        kinds: ``label``, ``segment``, ``state`` and so on; ``heartbeat`` has no channel.
        replay: Where its journal answers; without it what is missed is only told.
        since: The `position` of an earlier subscription, to go on from there. Topics that it did
            not follow are told from where it began.

    Raises:
        UsageError: If an address cannot be connected to by anyone.
    """
    return Subscription(address, _topics(channels, kinds), replay=replay, since=since)


def subscribe_async(
    address: str,
    *,
    channels: Sequence[str] = (),
    kinds: Sequence[str] = ("label",),
    replay: str | None = None,
    since: Position | None = None,
) -> AsyncSubscription:
    """Follow a label stream with ``async for``; see `subscribe`."""
    return AsyncSubscription(address, _topics(channels, kinds), replay=replay, since=since)


class _Endpoint:
    """The sockets of a subscription, and the rules that it follows."""

    def __init__(
        self,
        address: str,
        topics: Sequence[str],
        *,
        replay: str | None,
        since: Position | None,
    ) -> None:
        self._address = address
        self._follower = Follower(topics, replays=replay is not None, since=since)
        self._context = zmq.Context()
        try:
            # The heartbeat comes last: once it is heard, so is everything else.
            self._stream = self._connect(zmq.SUB, address, [*{*topics} - {BEAT}, BEAT])
            self._journal = self._connect(zmq.DEALER, replay, []) if replay is not None else None
        except UsageError:
            self.close()
            raise

    @property
    def position(self) -> dict[str, tuple[str, int]]:
        """Where the items taken so far lead to; JSON can keep it, and `since` goes on from it."""
        return self._follower.position

    def close(self) -> None:
        """Disconnect; may be called twice."""
        self._context.destroy(linger=0)

    def _connect(self, kind: int, address: str, topics: Sequence[str]) -> Any:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.heartbeat_ivl = SIGN_OF_LIFE_MS
        if kind == zmq.DEALER:
            socket.immediate = True  # a daemon that is down gets no old requests when it is back
        for topic in topics:
            socket.subscribe(topic)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            raise UsageError(
                f"{address!r} is not an address to subscribe to; write tcp://HOST:PORT "
                "or ipc:///PATH."
            ) from error
        return socket

    def _registered(self, poller: Any) -> Any:
        for socket in filter(None, (self._stream, self._journal)):
            poller.register(socket, zmq.POLLIN)
        return poller

    def _ask(self) -> None:
        if self._journal is None:
            return
        for request in self._follower.requests(time.monotonic()):
            # What cannot be sent now is asked again when no answer came.
            with contextlib.suppress(zmq.Again):
                self._journal.send(json.dumps(request.body()).encode(), zmq.NOBLOCK)

    def _read(self, ready: Mapping[Any, int]) -> None:
        try:
            if self._journal is not None and self._journal in ready:
                self._take_answer(self._journal.recv_multipart(zmq.NOBLOCK))
            if self._stream in ready:
                for _ in range(AT_ONCE):
                    self._hear(self._stream.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self._address} publishes something else than labels of version {VERSION} "
                f"({error}); give the address of `rtclassify run`, and that of its journal."
            ) from error

    def _hear(self, frames: Sequence[bytes]) -> None:
        topic, payload = frames
        self._follower.hear(topic.decode(), _object(payload), time.monotonic())

    def _take_answer(self, frames: Sequence[bytes]) -> None:
        header, *rest = frames
        pairs = zip(rest[::2], rest[1::2], strict=True)
        messages = [(topic.decode(), _object(body)) for topic, body in pairs]
        self._follower.answer(_object(header), messages, time.monotonic())


class Subscription(_Endpoint):
    """Yields labels, and whatever else was asked for, for ever; owned by one thread.

    Leave it with ``with`` or `close`.
    """

    def __enter__(self) -> Self:
        """Return itself: it is connected already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self.close()

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> Item:
        """Wait for the next item.

        Raises:
            UsageError: If what publishes at the address is not a label stream.
        """
        while (item := self.receive(TICK_MS / 1000)) is None:
            pass
        return item

    def receive(self, timeout_s: float) -> Item | None:
        """Return the next item, or None when none came in time.

        Raises:
            UsageError: If what publishes at the address is not a label stream.
        """
        limit = time.monotonic() + timeout_s
        while (item := self._follower.take()) is None:
            left_s = limit - time.monotonic()
            if left_s < 0:
                return None
            self._exchange(min(TICK_MS, round(left_s * 1000)))
        return item

    def _exchange(self, timeout_ms: int) -> None:
        self._ask()
        self._read(dict(self._registered(zmq.Poller()).poll(timeout_ms)))


class AsyncSubscription(_Endpoint):
    """As `Subscription`, for ``async with`` and ``async for``; owned by one event loop."""

    async def __aenter__(self) -> Self:
        """Return itself: it is connected already."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        self.close()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Item:
        """Wait for the next item.

        Raises:
            UsageError: If what publishes at the address is not a label stream.
        """
        while (item := self._follower.take()) is None:
            self._ask()
            self._read(dict(await self._registered(zmq.asyncio.Poller()).poll(TICK_MS)))
        return item


def _topics(channels: Sequence[str], kinds: Sequence[str]) -> list[str]:
    with_channels = [kind for kind in kinds if kind != "heartbeat"]
    if not channels:
        return [f"{kind}/" for kind in kinds]
    own = [f"{kind}/{channel}/" for channel in channels for kind in with_channels]
    return own if len(with_channels) == len(kinds) else [*own, "heartbeat/"]


def _object(payload: bytes) -> Mapping[str, Any]:
    said = json.loads(payload)
    if not isinstance(said, dict) or said.get("v") != VERSION:
        raise ValueError(f"{payload[:40]!r}")
    return said
