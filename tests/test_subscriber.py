"""Subscribers on real sockets: those that follow, that stall, that shout, that come too late."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq
from stream_events import INFO, label, one_of_each

from rtclassify.errors import SinkError, UsageError
from rtclassify.events import Event
from rtclassify.sinks import zmq as sinks_zmq
from rtclassify.sinks.message import Message
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import Subscription, ZmqSink
from rtclassify.testing import ManualClock

ROOT = Path(__file__).parent.parent
PATIENCE_S = 20.0
PATIENCE_MS = round(PATIENCE_S * 1000)


@contextlib.contextmanager
def published(address: str = "tcp://127.0.0.1:*") -> Iterator[ZmqSink]:
    with ZmqSink(address, Encoder(INFO, ManualClock())) as sink:
        # Tells of every subscription, not just of those that are the first of their topic.
        sink._open_socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        yield sink


@contextlib.contextmanager
def subscribed(sink: ZmqSink, *topics: str) -> Iterator[Subscription]:
    with Subscription(sink.address, topics) as subscription:
        await_subscriptions(sink, len(topics))
        yield subscription


def await_subscriptions(sink: ZmqSink, count: int) -> None:
    """Read `count` subscriptions as `send` would, but wait for them."""
    for _ in range(count):
        assert sink._open_socket.poll(PATIENCE_MS), "a subscription did not arrive"
        sink._open_socket.recv()


def all_of(subscription: Subscription, count: int) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < count and (message := subscription.receive(PATIENCE_S)):
        messages.append(message)
    return messages


def labels(count: int, channel: str = "main") -> Sequence[Event]:
    return [label(channel, number) for number in range(count)]


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    # As most people start programs, whatever these tests run under.
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=usual) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


@pytest.mark.timeout(60)
def test_the_example_receives_every_label_in_order_without_gaps() -> None:
    """A second process, plain pyzmq, a real socket."""
    with (
        published() as sink,
        running([sys.executable, "examples/subscribe.py", sink.address]) as process,
    ):
        await_subscriptions(sink, 1)
        for number in range(300):
            sink.send(labels(2, f"ch{number}") if number % 2 else one_of_each("main"))
        lines = lines_of(process, 450)

    mains = ["None main speech provisional missed=0"] * 150
    others = [
        f"None ch{number} speech provisional missed=0"
        for number in range(1, 300, 2)
        for _ in range(2)
    ]
    assert [line for line in lines if " main " in line] == mains
    assert [line for line in lines if " main " not in line] == others


@pytest.mark.timeout(60)
def test_the_example_counts_what_it_missed() -> None:
    with published() as sink:
        sink.send(labels(1))
        with running([sys.executable, "examples/subscribe.py", sink.address]) as process:
            await_subscriptions(sink, 1)
            sink.send(labels(1))
            for event in labels(4):
                sink._encoder.encode(event)
            sink.send(labels(2))
            lines = lines_of(process, 3)

    assert [line.split("=")[1] for line in lines] == ["0", "4", "0"]


@pytest.mark.timeout(60)
def test_the_one_line_of_the_stream_page_subscribes() -> None:
    page = (ROOT / "docs/stream.md").read_text("utf-8")
    found = re.search(r"^python -c .*$", page, re.MULTILINE)
    assert found is not None
    with published() as sink:
        one_line = found[0].replace("tcp://127.0.0.1:5565", sink.address)
        _, *arguments = shlex.split(one_line.partition(" | ")[0])
        with running([sys.executable, *arguments]) as process:
            await_subscriptions(sink, 1)
            sink.send(labels(3))
            lines = lines_of(process, 3)

    assert all('"label":"speech"' in line for line in lines)


@pytest.mark.timeout(60)
def test_a_stalled_subscriber_blocks_nobody_and_can_tell_what_it_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks_zmq, "QUEUE", 100)
    sent = 20_000
    with published() as sink, subscribed(sink, "label/") as stalled:
        for event in labels(sent):
            sink.send([event])
        received = 0
        while message := stalled.receive(0.5):
            received += 1
        sink.send(labels(1))
        message = stalled.receive(PATIENCE_S)

    assert received < sent, "nothing was lost, so the subscriber did not stall"
    assert message is not None
    assert message.body["seq"] == sent


@pytest.mark.timeout(60)
def test_a_stalled_subscriber_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks_zmq, "QUEUE", 100)
    with (
        published() as sink,
        subscribed(sink, "label/"),
        subscribed(sink, "label/") as other,
    ):
        seqs = []
        for event in labels(20_000):
            sink.send([event])
            message = other.receive(PATIENCE_S)
            assert message is not None
            seqs.append(message.body["seq"])

    assert seqs == list(range(20_000))


@pytest.mark.timeout(60)
def test_a_slow_subscriber_still_gets_what_was_queued_when_the_sink_closes(tmp_path: Path) -> None:
    """It holds a thousand messages itself; the rest wait in the queue of the sink."""
    with published(f"ipc://{tmp_path}/labels") as sink, zmq.Context() as context:
        slow = context.socket(zmq.SUB)
        slow.subscribe("")
        slow.connect(sink.address)
        await_subscriptions(sink, 1)
        sink.send(labels(3_000))
        with ThreadPoolExecutor() as reader:
            received = reader.submit(lambda: [slow.recv_multipart() for _ in range(3_000)])
            sink.__exit__(None, None, None)
            seqs = [json.loads(payload)["seq"] for _, payload in received.result(PATIENCE_S)]
        slow.close()

    assert seqs == list(range(3_000))


@pytest.mark.timeout(60)
def test_what_subscribers_shout_disturbs_nobody() -> None:
    """Messages that are no subscriptions, messages too long, and bytes that are no ZeroMQ."""
    with (
        published() as sink,
        subscribed(sink, "label/") as quiet,
        zmq.Context() as context,
        context.socket(zmq.XSUB) as shouter,
        context.socket(zmq.XSUB) as bore,
        socket.create_connection(("127.0.0.1", int(sink.address.rpartition(":")[2]))) as vandal,
    ):
        for peer in (shouter, bore):
            peer.linger = 0
            peer.connect(sink.address)
        vandal.sendall(bytes(range(256)) * 100)
        bore.send(b"\x02" + b"x" * 1_000_000)
        for event in labels(500):
            for _ in range(100):
                with contextlib.suppress(zmq.Again):
                    shouter.send_multipart([b"\x02", b"garbage"], zmq.NOBLOCK)
            sink.send([event])
        heard = all_of(quiet, 500)

    assert [message.body["seq"] for message in heard] == list(range(500))


@pytest.mark.timeout(60)
def test_a_subscription_takes_effect_although_nothing_was_sent_yet() -> None:
    with published() as sink, Subscription(sink.address, ["label/"]) as subscription:
        assert sink._open_socket.poll(PATIENCE_MS)
        sink.send([])
        sink.send(labels(1))

        assert subscription.receive(PATIENCE_S) is not None
        assert not sink._open_socket.poll(0), "the subscription was left unread"


@pytest.mark.timeout(60)
def test_a_filter_sees_no_false_gaps() -> None:
    events = [e for n in range(50) for e in (label("ch1", n), label("ch10", n), *one_of_each("x"))]
    with published() as sink, subscribed(sink, "label/ch1/") as subscription:
        sink.send(events)
        heard = all_of(subscription, 50)

    assert {message.topic for message in heard} == {"label/ch1/"}
    assert [message.body["seq"] for message in heard] == list(range(50))


@pytest.mark.timeout(60)
def test_a_second_publisher_on_an_ipc_path_is_refused_and_the_first_undisturbed(
    tmp_path: Path,
) -> None:
    address = f"ipc://{tmp_path}/labels"
    with published(address) as first, subscribed(first, "label/") as early:
        with (
            pytest.raises(SinkError, match=f"^{address} is in use by another program; stop"),
            published(address),
        ):
            pass
        with subscribed(first, "label/") as late:
            first.send(labels(3))

            assert len(all_of(early, 3)) == len(all_of(late, 3)) == 3


def test_an_ipc_path_left_by_a_crash_is_taken_over(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{tmp_path}/labels")
    left.close()

    with published(f"ipc://{tmp_path}/labels") as sink:
        assert sink.address == f"ipc://{tmp_path}/labels"


def test_an_ipc_socket_is_for_its_owner_and_group_alone(tmp_path: Path) -> None:
    with published(f"ipc://{tmp_path}/labels"):
        mode = (tmp_path / "labels").stat().st_mode

    assert stat.S_IMODE(mode) == 0o660


def test_an_ipc_path_that_is_a_file_is_refused_and_the_file_kept(tmp_path: Path) -> None:
    """ZeroMQ would delete it."""
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("ten years of work")

    with pytest.raises(SinkError, match="is not a socket"), published(f"ipc://{thesis}"):
        pass

    assert thesis.read_text() == "ten years of work"


@pytest.mark.timeout(60)
def test_a_tcp_port_in_use_is_refused_and_the_first_undisturbed() -> None:
    with published() as first, subscribed(first, "label/") as subscription:
        with (
            pytest.raises(SinkError, match=f"^{first.address} is in use by another program; stop"),
            published(first.address),
        ):
            pass
        first.send(labels(3))

        assert len(all_of(subscription, 3)) == 3


@pytest.mark.timeout(60)
def test_what_is_no_label_stream_is_told_from_one() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as stranger:
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        with Subscription(f"tcp://127.0.0.1:{port}", [""]) as subscription:
            stranger.recv()
            stranger.send(b"good morning")

            with pytest.raises(UsageError, match="something else than labels"):
                subscription.receive(PATIENCE_S)


@pytest.mark.parametrize("address", ["", "nowhere", "tcp://127.0.0.1", "http://127.0.0.1:80"])
def test_an_address_that_nobody_can_connect_to_is_refused(address: str) -> None:
    with (
        pytest.raises(UsageError, match="is not an address to subscribe to; write tcp://"),
        Subscription(address, [""]),
    ):
        pass
