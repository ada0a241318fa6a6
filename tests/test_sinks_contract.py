"""What every sink of `SINKS` holds to, on real sockets and real files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from rigs.mosquitto import Broker
from stream_events import INFO, label, one_of_each
from stream_schema import KINDS, strict_validator

from rtclassify.errors import SinkError
from rtclassify.events import Sink, Stamp
from rtclassify.sinks import SINKS, open_sink
from rtclassify.sinks.message import Message, decode
from rtclassify.sinks.mqtt import MqttSink
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import ZmqSink
from rtclassify.testing import ManualClock

Receive = Callable[[Sink, int], list[Message]]
ARRIVAL_MS = 10_000
ENCODER = Encoder(INFO, ManualClock())


class SocketRig:
    """Receives what a sink publishes on a socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._stack = contextlib.ExitStack()
        self._context = self._stack.enter_context(zmq.Context())

    def attach(self, sink: Sink) -> None:
        assert isinstance(sink, ZmqSink)
        # A new one each time: when an old one would connect again is its own affair.
        self._socket = self._stack.enter_context(self._context.socket(zmq.SUB))
        self._socket.linger = 0
        self._socket.subscribe("")
        self._socket.connect(sink.address)
        assert sink._open_socket.poll(ARRIVAL_MS), "the subscription did not arrive"

    def received(self, count: int) -> list[Message]:
        messages: list[Message] = []
        while len(messages) < count and self._socket.poll(ARRIVAL_MS):
            topic, payload = self._socket.recv_multipart()
            messages.append(decode(topic, payload))
        return messages

    def close(self) -> None:
        self._stack.close()


class FileRig:
    """Receives what a sink writes to a file."""

    def __init__(self, path: Path) -> None:
        self.address = f"jsonl:{path}"
        self._path = path

    def attach(self, sink: Sink) -> None:
        assert sink is not None

    def received(self, count: int) -> list[Message]:
        messages = []
        for line in self._path.read_text("utf-8").splitlines()[:count]:
            body = json.loads(line)
            messages.append(Message(body.pop("topic"), body))
        return messages

    def close(self) -> None:
        self._path.unlink(missing_ok=True)


class BrokerRig:
    """Receives what a sink publishes at a broker, and strips what the bridge adds to it."""

    def __init__(self, broker: Broker, scheme: str) -> None:
        self.address = f"{scheme}://127.0.0.1:{broker.port}/contract"
        self._stack = contextlib.ExitStack()
        self._listener = self._stack.enter_context(broker.listener("contract/+/#"))

    def attach(self, sink: Sink) -> None:
        assert isinstance(sink, MqttSink)
        self._listener.await_("contract/status", b"online")

    def received(self, count: int) -> list[Message]:
        messages: list[Message] = []
        while len(messages) < count:
            heard = self._listener.next()
            if heard.topic != "contract/status":
                topic = heard.topic.removeprefix("contract/") + "/"
                messages.append(decode(topic.encode(), bytes(heard.payload)))
        return messages

    def close(self) -> None:
        self._stack.close()


Rig = SocketRig | FileRig | BrokerRig


@pytest.fixture(params=SINKS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rigs: dict[str, Callable[[], Rig]] = {
        "tcp": lambda: SocketRig("tcp://127.0.0.1:*"),
        "ipc": lambda: SocketRig(f"ipc://{tmp_path}/labels"),
        "jsonl": lambda: FileRig(tmp_path / "labels.jsonl"),
        "mqtt": lambda: BrokerRig(request.getfixturevalue("broker"), "mqtt"),
        "mqtts": lambda: BrokerRig(request.getfixturevalue("tls_broker"), "mqtts"),
    }
    rig = rigs[request.param]()
    yield rig
    rig.close()


def test_messages_arrive_as_the_encoder_wrote_them_in_order(rig: Rig) -> None:
    clock = ManualClock()
    events = one_of_each(captured=Stamp(clock.now() - 0.04, 0.002))
    with open_sink(rig.address, Encoder(INFO, clock)) as sink:
        rig.attach(sink)
        sink.send(events[:2])
        sink.send([])
        sink.send(events[2:])
        received = rig.received(len(events))

    encoder = Encoder(INFO, clock)
    assert received == [encoder.encode(event) for event in events]


def test_every_kind_of_message_is_as_the_schema_says(rig: Rig) -> None:
    with open_sink(rig.address, Encoder(INFO, ManualClock())) as sink:
        rig.attach(sink)
        sink.send(one_of_each())
        received = rig.received(len(one_of_each()))

    assert {message.kind for message in received} == set(KINDS)
    for message in received:
        strict_validator(message.kind).validate(message.body)


def test_what_was_sent_last_is_delivered_although_the_sink_closes(rig: Rig) -> None:
    with open_sink(rig.address, Encoder(INFO, ManualClock())) as sink:
        rig.attach(sink)
        sink.send([label(number=number) for number in range(500)])

    assert [message.body["seq"] for message in rig.received(500)] == list(range(500))


def test_a_sink_that_was_closed_can_be_opened_again(rig: Rig) -> None:
    for _ in range(2):
        with open_sink(rig.address, Encoder(INFO, ManualClock())) as sink:
            rig.attach(sink)
            sink.send([label()])

    assert rig.received(1)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:75565",
        "tcp://nowhere.invalid:5565",
        "ipc://relative",
        "ipc:///nowhere/labels",
        f"ipc:///tmp/{'x' * 300}",
        "ipc:///dev/null",
        "jsonl:",
        "jsonl:/nowhere/labels.jsonl",
        "jsonl:/dev",
        "udp://127.0.0.1:5565",
        "mqtt:",
        "mqtt://127.0.0.1:75565",
        "mqtts://127.0.0.1/a/+/b",
    ],
)
def test_an_unusable_address_is_refused_with_one_sentence(address: str) -> None:
    with pytest.raises(SinkError) as refusal, open_sink(address, ENCODER):
        pass

    sentence = str(refusal.value)
    assert address.partition(":")[2].strip("/") in sentence
    assert sentence.endswith(".")
    assert "; " in sentence
    assert "\n" not in sentence
