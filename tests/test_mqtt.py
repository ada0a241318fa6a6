"""The bridge at a real mosquitto: late subscribers, broken brokers, wrong passwords."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from rigs.icecast import free_port
from rigs.mosquitto import PASSWORD, USER, Broker
from stream_events import INFO, label, one_of_each, status

from rtclassify.errors import DependencyError, SinkError
from rtclassify.events import Event, Heartbeat, StateChange
from rtclassify.sinks import mqtt as sinks_mqtt
from rtclassify.sinks import open_sink, without_password
from rtclassify.sinks.mqtt import MqttSink
from rtclassify.sinks.wire import Encoder
from rtclassify.testing import ManualClock

pytestmark = pytest.mark.rig
PATIENCE_S = 20.0
SOON_S = 2.0
"""A send takes some microseconds, more on a busy machine; one that waits for a broker, for ever."""

STRANDED = """
import sys, time
from stream_events import INFO, one_of_each
from rtclassify.sinks.mqtt import MqttSink
from rtclassify.sinks.wire import Encoder
from rtclassify.testing import ManualClock
with MqttSink(sys.argv[1], Encoder(INFO, ManualClock())) as sink:
    while True:
        sink.send(one_of_each())
        time.sleep(0.1)
"""


def sink_at(broker: Broker, credentials: str = "") -> MqttSink:
    return MqttSink(f"mqtt://{credentials}127.0.0.1:{broker.port}", Encoder(INFO, ManualClock()))


def await_(claim: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < limit, f"{what} did not come to pass"
        time.sleep(0.01)


def retained(broker: Broker, topics: str = "#", wait_s: float = 0.5) -> dict[str, bytes]:
    """Return what a subscriber that comes now is told at once."""
    told = {}
    with broker.listener(topics) as listener:
        limit = time.monotonic() + wait_s
        while (left_s := limit - time.monotonic()) > 0:
            for message in listener.within(left_s):
                told[message.topic] = bytes(message.payload)
    return told


def slowest(sink: MqttSink, events: list[Event]) -> float:
    """Send events one by one; return the seconds that the slowest took."""
    longest = 0.0
    for event in events:
        begun = time.perf_counter()
        sink.send([event])
        longest = max(longest, time.perf_counter() - begun)
    return longest


def test_a_late_subscriber_is_told_what_every_channel_is(broker: Broker) -> None:
    with sink_at(broker) as sink:
        await_(lambda: sink.connected, "the connection")
        sink.send([*one_of_each("one"), *one_of_each("two")])
        await_(lambda: "rtclassify/segment/two" in retained(broker), "the last message")
        told = retained(broker, "rtclassify/#")

    assert told.pop("rtclassify/status") == b"online"
    bodies = {topic.removeprefix("rtclassify/"): json.loads(told[topic]) for topic in told}
    assert set(bodies) == {"heartbeat"} | {
        f"{kind}/{channel}"
        for kind in ("label", "state", "segment", "alarm")
        for channel in ("one", "two")
    }
    assert bodies["label/one"]["label"] == "speech"
    assert bodies["label/one"]["level_dbfs"] == -23.46
    assert bodies["state/two"]["state"] == "programme"


def test_final_labels_do_not_hide_what_is_heard_now(broker: Broker) -> None:
    with sink_at(broker) as sink:
        await_(lambda: sink.connected, "the connection")
        sink.send([label(number=6), label(number=1, name="music", final=True)])
        with broker.listener("rtclassify/label/main") as listener:
            assert json.loads(listener.next().payload)["label"] == "speech"


def test_a_daemon_that_stops_says_so(broker: Broker) -> None:
    with broker.listener("rtclassify/status") as listener:
        with sink_at(broker):
            listener.await_("rtclassify/status", b"online")
        assert listener.next().payload == b"offline"


def test_a_daemon_that_is_killed_is_said_to_be_gone(broker: Broker) -> None:
    address = f"mqtt://127.0.0.1:{broker.port}/studio"
    with (
        broker.listener("studio/status") as listener,
        subprocess.Popen(
            [sys.executable, "-c", STRANDED, address], cwd=Path(__file__).parent
        ) as daemon,
    ):
        listener.await_("studio/status", b"online")
        daemon.send_signal(signal.SIGKILL)
        assert listener.next().payload == b"offline"


def test_nothing_is_sent_before_it_is_known_that_the_broker_came_back(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The MQTT library says so a moment earlier."""
    with sink_at(broker) as sink:
        await_(lambda: sink.connected, "the connection")
        broker.stop()
        await_(lambda: sink._said.startswith("is gone"), "the loss")
        monkeypatch.setattr(sink._client, "is_connected", lambda: True)
        sink.send([label()])

        assert not sink.connected
        assert sink._waiting


def test_a_broker_that_was_away_is_told_the_newest_and_delays_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rtclassify")
    with sink_at(broker) as sink:
        await_(lambda: sink.connected, "the connection")
        sink.send(one_of_each())
        broker.stop()
        await_(lambda: not sink.connected, "the loss")
        longest = slowest(sink, [label(number=number) for number in range(5_000)])
        sink.send([label(name="music")])
        broker.start()
        await_(lambda: sink.connected, "the return")
        told: dict[str, bytes] = {}
        while (
            b'"label":"music"' not in told.get("rtclassify/label/main", b"")
            or "rtclassify/state/main" not in told
        ):
            sink.send([])
            told = retained(broker)

    assert longest < SOON_S
    assert json.loads(told["rtclassify/state/main"])["state"] == "programme"
    assert told["rtclassify/status"] == b"online"
    assert "homeassistant/sensor/rtclassify_main/label/config" in told
    said = [record.getMessage().partition(" ")[2] for record in caplog.records]
    assert said[0] == said[2] == "takes labels"
    assert said[1].startswith("is gone; trying again")
    # Of those sent while it was away, the last one arrived; two more may have been on their way.
    assert re.fullmatch(r"missed (4\d\d\d|5000) messages, not the newest", said[3])


def test_a_broker_that_stalls_delays_nothing_and_is_told_the_newest_when_it_goes_on(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks_mqtt, "QUEUE", 100)
    with sink_at(broker) as sink, broker.listener("rtclassify/label/main") as listener:
        await_(lambda: sink.connected, "the connection")
        broker.stall()
        longest = slowest(sink, [label(number=number) for number in range(20_000)])
        kept = sink._queued() + len(sink._waiting)
        broker.go_on()
        seqs: list[int] = []
        while not seqs or seqs[-1] != 19_999:
            sink.send([])
            seqs += [json.loads(message.payload)["seq"] for message in listener.within(0.05)]

    assert longest < SOON_S
    assert kept <= 101
    assert seqs == sorted(set(seqs))
    assert len(seqs) < 20_000


def test_a_broker_that_stalls_while_the_daemon_stops_learns_that_it_is_gone(
    broker: Broker,
) -> None:
    with broker.listener("rtclassify/status") as listener:
        with sink_at(broker) as sink:
            listener.await_("rtclassify/status", b"online")
            broker.stall()
            sink.send([label(number=number) for number in range(2_000)])
            begun = time.monotonic()
        assert time.monotonic() - begun < 5.0
        broker.go_on()
        listener.await_("rtclassify/status", b"offline")


def test_a_broker_that_is_not_there_delays_neither_start_nor_end() -> None:
    begun = time.monotonic()
    with MqttSink(f"mqtt://127.0.0.1:{free_port()}", Encoder(INFO, ManualClock())) as sink:
        assert slowest(sink, [label(number=number) for number in range(100)]) < SOON_S

    assert time.monotonic() - begun < 5.0


def test_a_name_that_nobody_knows_delays_neither_start_nor_end() -> None:
    begun = time.monotonic()
    with MqttSink("mqtt://nowhere.invalid", Encoder(INFO, ManualClock())) as sink:
        assert slowest(sink, [label(number=number) for number in range(100)]) < SOON_S

    assert time.monotonic() - begun < 5.0


def test_a_wrong_password_is_said_once_and_labelling_goes_on(
    locked_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with sink_at(locked_broker, f"{USER}:guessed@") as sink:
        await_(lambda: caplog.records, "the refusal")
        assert slowest(sink, [label(number=number) for number in range(100)]) < SOON_S
        time.sleep(1.5)  # for a second attempt

    (record,) = caplog.records
    assert "refuses us: Not authorized; check user and password" in record.getMessage()
    assert "guessed" not in record.getMessage()


def test_the_right_password_is_taken_whatever_is_in_it(locked_broker: Broker) -> None:
    with (
        locked_broker.listener("rtclassify/label/main") as listener,
        sink_at(locked_broker, f"{USER}:{quote(PASSWORD, safe='')}@") as sink,
    ):
        await_(lambda: sink.connected, "the connection")
        sink.send([label()])
        assert json.loads(listener.next().payload)["label"] == "speech"


def test_home_assistant_is_pointed_at_topics_and_fields_that_are_there(broker: Broker) -> None:
    with sink_at(broker) as sink:
        await_(lambda: sink.connected, "the connection")
        sink.send([*one_of_each("one"), Heartbeat((status("one"), status("two")))])
        await_(lambda: "homeassistant/sensor/rtclassify_two/state/config" in retained(broker), "it")
        told = retained(broker)

    configs = {t: json.loads(told[t]) for t in told if t.startswith("homeassistant/sensor/")}
    assert len(configs) == 2 * 3
    assert len({config["unique_id"] for config in configs.values()}) == len(configs)
    for config in configs.values():
        if config["state_topic"].endswith("/one"):
            (field,) = config["value_template"].strip("{ }").split("value_json.")[1:]
            assert field in json.loads(told[config["state_topic"]])
            assert all(place["topic"] in told for place in config["availability"])


def test_lost_capture_is_told_at_once(broker: Broker) -> None:
    with sink_at(broker) as sink, broker.listener("rtclassify/state/main") as listener:
        await_(lambda: sink.connected, "the connection")
        sink.send([StateChange("main", "no-capture", "unplugged", 0, None)])
        assert json.loads(listener.next().payload)["reason"] == "unplugged"


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    monkeypatch.delitem(sys.modules, "rtclassify.sinks.mqtt")
    with pytest.raises(DependencyError) as refused:
        open_sink("mqtt://user:secret@host/a", Encoder(INFO, ManualClock()))

    assert str(refused.value) == (
        "mqtt://user@host/a wants paho-mqtt, which is not installed; "
        "pip install 'rtclassify[mqtt]'."
    )


@pytest.mark.parametrize("address", ["mqtt://user:pa@ss/word@host:1", "mqtts://user:secret@"])
def test_a_password_is_never_shown(address: str) -> None:
    shown = without_password(address)
    assert shown.startswith(address.partition(":")[0] + "://user@")
    assert not any(part in shown for part in ("pa@", "ss/word", "secret"))
    with pytest.raises(SinkError) as refused:
        open_sink(address, Encoder(INFO, ManualClock()))
    assert shown in str(refused.value)
