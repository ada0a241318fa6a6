"""The shipped client on real sockets: it fills gaps, survives restarts, and tells what is lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zmq
from stream_events import INFO, label, one_of_each, status

from rtclassify.client import (
    Gap,
    Item,
    Label,
    Message,
    Segment,
    State,
    Subscription,
    subscribe,
    subscribe_async,
)
from rtclassify.config import JournalSettings
from rtclassify.errors import UsageError
from rtclassify.events import Event, Heartbeat, Stamp
from rtclassify.sinks.journal import JournalSink
from rtclassify.sinks.replay import ReplayServer
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import ZmqSink
from rtclassify.testing import ManualClock

ROOT = Path(__file__).parent.parent
PATIENCE_S = 20.0
NUMBERS = itertools.count()
BEAT = Heartbeat((status("a"),))


class Daemon:
    """Publishes, journals and answers as the daemon does; each `start` is an epoch."""

    def __init__(self, journal: Path) -> None:
        self._path = journal
        self._stack = contextlib.ExitStack()
        self._addresses = ["tcp://127.0.0.1:*"] * 2
        self.start("00000001")

    @property
    def address(self) -> str:
        return self._addresses[0]

    @property
    def replay(self) -> str:
        return self._addresses[1]

    def start(self, epoch: str) -> None:
        clock = ManualClock()
        self._encoder = Encoder(dataclasses.replace(INFO, epoch=epoch), clock)
        published = ZmqSink(self._addresses[0], self._encoder)
        named = {"model": "m", "config": "c"}
        settings = JournalSettings(str(self._path))
        self._published = self._stack.enter_context(published)
        self._journal = self._stack.enter_context(
            JournalSink(settings, self._encoder, clock, named=named)
        )
        server = ReplayServer(self._addresses[1], self._path, epoch=epoch)
        self._stack.enter_context(server)
        self._addresses = [published.address, server.address]

    def stop(self) -> None:
        self._stack.close()

    def say(self, *events: Event, published: bool = True) -> None:
        """Journal events; publish them too, unless they are to be lost on the way."""
        if published:
            self._published.send(events)
        self._journal.send(events)

    def is_subscribed(self) -> bool:
        return bool(self._published._open_socket.poll(0))

    def await_subscriptions(self, count: int) -> None:
        self._published._open_socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        while count:
            assert self._published._open_socket.poll(round(PATIENCE_S * 1000))
            # Those that leave are told of as well.
            count -= self._published._open_socket.recv().startswith(b"\x01")


@pytest.fixture
def daemon(memory: Path) -> Iterator[Daemon]:
    daemon = Daemon(memory / str(next(NUMBERS)))
    yield daemon
    daemon.stop()


def listening(daemon: Daemon, **options: Any) -> Subscription:
    """Subscribe, and come back when both sides know of it."""
    subscription = subscribe(daemon.address, **options)
    kinds, channels = options.get("kinds", ("label",)), options.get("channels", ())
    daemon.await_subscriptions(len(kinds) * max(1, len(channels)) + 1)
    daemon.say(BEAT)
    return subscription


def seqs(items: Sequence[Item]) -> list[tuple[str, str, int]]:
    assert all(isinstance(item, Message) for item in items), items
    return [(item.topic, item.epoch, item.seq) for item in items if isinstance(item, Message)]


def take(subscription: Subscription, count: int) -> list[Item]:
    items: list[Item] = []
    while len(items) < count and (item := subscription.receive(PATIENCE_S)) is not None:
        items.append(item)
    return items


def test_labels_come_as_dataclasses(daemon: Daemon) -> None:
    captured = Stamp(ManualClock().now(), 0.002)
    with listening(daemon) as labels:
        daemon.say(label("a", 3, captured=captured))
        (item,) = take(labels, 1)

    assert isinstance(item, Label)
    assert (item.channel, item.start, item.label, item.final) == ("a", 24_000, "speech", False)
    assert item.utc == datetime(2026, 1, 1, tzinfo=UTC)
    assert item.body["level_dbfs"] == item.level_dbfs == -23.46


def test_kinds_and_channels_choose_what_comes(daemon: Daemon) -> None:
    kinds = ("label", "segment", "state")
    with listening(daemon, kinds=kinds, channels=["a"]) as stream:
        daemon.say(*one_of_each("ab"), *one_of_each("a"))
        items = take(stream, 4)

    assert [type(item) for item in items] == [State, Label, Segment, Segment]
    assert {item.topic.split("/")[1] for item in items} == {"a"}


def test_a_kind_without_a_class_of_its_own_comes_as_a_message(daemon: Daemon) -> None:
    with subscribe(daemon.address, kinds=["heartbeat"]) as stream:
        daemon.await_subscriptions(1)
        daemon.say(BEAT)
        (item,) = take(stream, 1)

    assert type(item) is Message
    assert item.body["channels"][0]["channel"] == "a"


def test_what_is_lost_on_the_way_is_fetched_and_comes_in_order(daemon: Daemon) -> None:
    with listening(daemon, replay=daemon.replay) as labels:
        for number in range(60):
            daemon.say(label("a", number), published=number % 3 == 0)
            daemon.say(label("b", number), published=number % 7 == 0)
        daemon.say(BEAT)
        items = take(labels, 120)

    for channel in "ab":
        own = [item for item in items if item.topic == f"label/{channel}/"]
        assert seqs(own) == [(f"label/{channel}/", "00000001", n) for n in range(60)]


def test_without_a_journal_each_gap_says_what_is_missing(daemon: Daemon) -> None:
    with listening(daemon) as labels:
        for number in range(10):
            daemon.say(label("a", number), published=number in (0, 4, 5))
        daemon.say(BEAT)
        items = take(labels, 5)

    gaps = [(item.start, item.end) for item in items if isinstance(item, Gap)]
    assert gaps == [(1, 4), (6, 10)]
    assert isinstance(items[1], Gap)


@pytest.mark.timeout(60)
def test_a_restart_loses_nothing_and_shows_in_the_epoch(daemon: Daemon) -> None:
    """The last labels before it and the first ones after it were not heard."""
    with listening(daemon, replay=daemon.replay) as labels:
        for number in range(5):
            daemon.say(label("a", number), published=number < 3)
        items = take(labels, 3)
        daemon.stop()
        for epoch in ("00000002", "00000003"):
            daemon.start(epoch)
            daemon.say(label("a", 0), label("a", 1), published=False)
            if epoch == "00000002":
                daemon.stop()
        while not daemon.is_subscribed():
            assert labels.receive(0.05) is None, "ZeroMQ subscribes anew while it is polled"
        daemon.await_subscriptions(2)
        daemon.say(label("a", 2))
        items += take(labels, 7)

    expected = [("00000001", 5), ("00000002", 2), ("00000003", 3)]
    assert seqs(items) == [
        ("label/a/", epoch, n) for epoch, count in expected for n in range(count)
    ]


def test_a_subscriber_that_died_goes_on_where_it_was(daemon: Daemon) -> None:
    with listening(daemon, replay=daemon.replay) as labels:
        daemon.say(*(label("a", number) for number in range(5)))
        items = take(labels, 3)
        position = json.dumps(labels.position)
    daemon.say(*(label("a", number) for number in range(5, 9)), label("b"))
    with listening(daemon, replay=daemon.replay, since=json.loads(position)) as labels:
        items += take(labels, 7)

    assert seqs([i for i in items if i.topic == "label/a/"]) == [
        ("label/a/", "00000001", n) for n in range(9)
    ]
    assert seqs(items[-1:]) == [("label/b/", "00000001", 0)] or len(items) == 10


@pytest.mark.timeout(60)
def test_a_subscriber_may_be_there_before_the_daemon(daemon: Daemon) -> None:
    daemon.stop()
    with subscribe(daemon.address, replay=daemon.replay) as labels:
        assert labels.receive(0.2) is None
        daemon.start("00000002")
        daemon.await_subscriptions(2)
        daemon.say(label("a"))

        assert seqs(take(labels, 1)) == [("label/a/", "00000002", 0)]


def test_the_asyncio_form_says_the_same(daemon: Daemon) -> None:
    async def listen() -> list[Item]:
        items: list[Item] = []
        async with subscribe_async(daemon.address, replay=daemon.replay) as labels:
            talking = threading.Thread(target=talk)
            talking.start()
            async for item in labels:
                items.append(item)
                if len(items) == 60:
                    break
            talking.join()
        return items

    def talk() -> None:
        daemon.await_subscriptions(2)
        daemon.say(BEAT)
        for number in range(60):
            daemon.say(label("a", number), published=number % 3 == 0)
        daemon.say(BEAT)

    items = asyncio.run(asyncio.wait_for(listen(), PATIENCE_S))
    assert seqs(items) == [("label/a/", "00000001", n) for n in range(60)]


def test_importing_it_loads_neither_tensorflow_nor_numpy() -> None:
    script = "import sys, rtclassify.client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())

    assert "zmq" in loaded
    assert not {"numpy", "tensorflow", "keras", "soundfile", "rtclassify.stream"} & loaded


@pytest.mark.parametrize("address", ["", "nowhere", "tcp://127.0.0.1", "http://127.0.0.1:80"])
def test_an_address_that_nobody_can_connect_to_is_refused(address: str) -> None:
    for addresses in ((address, None), ("tcp://127.0.0.1:5565", address)):
        with pytest.raises(UsageError, match="is not an address to subscribe to; write tcp://"):
            subscribe(addresses[0], replay=addresses[1])


@pytest.mark.parametrize(
    "frames", [[b"good morning"], [b"label/a/", b"{}"], [b"label/a/", b'{"v": 1}'], [b"", b"", b""]]
)
def test_what_is_no_label_stream_is_told_from_one(frames: list[bytes]) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as stranger:
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        with subscribe(f"tcp://127.0.0.1:{port}", kinds=["label", ""]) as labels:
            labels._stream.subscribe("")
            with pytest.raises(UsageError, match="something else than labels of version 1"):
                hear_out(labels, lambda: stranger.send_multipart(frames))


def hear_out(labels: Subscription, speak: Callable[[], Any]) -> None:
    """Listen until it is too much; a subscription takes a moment to arrive."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        speak()
        labels.receive(0.1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("page", ["README.md", "docs/stream.md"])
def test_the_example_of_the_page_runs(daemon: Daemon, page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    found = re.search(r"```python\n(from rtclassify.client import.*?)```", text, re.DOTALL)
    assert found is not None
    script = found[1].replace("tcp://127.0.0.1:5565", daemon.address)
    script = script.replace("tcp://127.0.0.1:5566", daemon.replay)
    said = told([sys.executable, "-uc", script], daemon, ROOT)

    assert "speech" in said


@pytest.mark.timeout(60)
def test_the_example_file_runs(daemon: Daemon, memory: Path) -> None:
    example = str(ROOT / "examples/follow.py")
    said = told([sys.executable, example, daemon.address, daemon.replay], daemon, memory)

    assert "speech" in said


def told(command: Sequence[str], daemon: Daemon, folder: Path) -> str:
    """Return the first line that a subscriber prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        daemon.await_subscriptions(2)
        daemon.say(BEAT)
        daemon.say(label("a", final=True))
        assert process.stdout is not None
        line = process.stdout.readline()
        process.kill()
    return line
