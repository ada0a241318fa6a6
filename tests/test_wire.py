"""The message format: what is written, what is read back, and what the schema says of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from stream_events import INFO, alarm, events, label, labels, one_of_each, status
from stream_schema import SCHEMA, strict_validator, validator

from rtclassify.clock import Timekeeping
from rtclassify.events import Event, Heartbeat, Label, Level, Loudness, Segment, Stamp, StateChange
from rtclassify.sinks.message import Message, decode
from rtclassify.sinks.wire import Encoder
from rtclassify.testing import ManualClock


def encoded(event: Event) -> Message:
    return Encoder(INFO, ManualClock()).encode(event)


@settings(deadline=None)
@given(event=events)
def test_every_message_reads_back_as_what_was_written(event: Event) -> None:
    message = encoded(event)

    assert decode(*message.frames()) == message


@settings(deadline=None)
@given(event=events)
def test_a_line_is_the_message_with_its_topic(event: Event) -> None:
    message = encoded(event)

    assert json.loads(message.line()) == {"topic": message.topic, **message.body}
    assert message.line().count(b"\n") == 1


@settings(deadline=None)
@given(event=events)
def test_every_message_has_just_the_fields_that_the_schema_names(event: Event) -> None:
    message = encoded(event)

    assert strict_validator(message.kind).is_valid(message.body)


@settings(deadline=None)
@given(event=events)
def test_every_message_is_of_one_kind_by_its_fields_alone(event: Event) -> None:
    assert Draft202012Validator(SCHEMA).is_valid(encoded(event).body)


@settings(deadline=None)
@given(event=events)
def test_a_field_from_the_future_breaks_no_subscriber(event: Event) -> None:
    message = encoded(event)

    assert validator(message.kind).is_valid({**message.body, "from_the_future": [1, 2]})


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@settings(deadline=None)
@given(label=labels)
def test_a_label_says_what_was_heard_up_to_rounding(label: Label) -> None:
    body = encoded(label).body

    assert (body["start"], body["end"], body["label"]) == (label.start, label.end, label.label)
    assert body["lost"] == label.lost
    assert body["final"] is label.final
    assert body["probs"] == pytest.approx(label.probs, abs=5.1e-5)
    if label.level.rms_dbfs is None:
        assert body["level_dbfs"] is None
    else:
        assert body["level_dbfs"] == pytest.approx(label.level.rms_dbfs, abs=5.1e-3)


@settings(deadline=None)
@given(sent=st.lists(events, max_size=30))
def test_each_topic_counts_from_zero_whatever_else_is_sent(sent: list[Event]) -> None:
    encoder = Encoder(INFO, ManualClock())
    counts: Counter[str] = Counter()

    for event in sent:
        message = encoder.encode(event)
        assert message.body["seq"] == counts[message.topic]
        counts[message.topic] += 1


@settings(deadline=None)
@given(sent=st.lists(events, max_size=30))
def test_a_heartbeat_tells_the_last_number_of_every_other_topic(sent: list[Event]) -> None:
    encoder = Encoder(INFO, ManualClock())
    topics = Counter(encoder.encode(event).topic for event in sent)

    seqs = encoder.encode(Heartbeat(())).body["seqs"]

    assert seqs == {t: count - 1 for t, count in topics.items() if t != "heartbeat/"}


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (label("ch1"), "label/ch1/"),
        (Segment("ch1", 0, "music", 0, None, {"music": 1.0}, None, None), "segment/ch1/"),
        (StateChange("ch1", "silence", "", 0, None), "state/ch1/"),
        (alarm("ch1"), "alarm/ch1/"),
        (Heartbeat(()), "heartbeat/"),
    ],
)
def test_topics_name_kind_and_channel_and_end_in_a_slash(event: Event, topic: str) -> None:
    assert encoded(event).topic == topic


def test_utc_is_that_of_the_last_sample_with_milliseconds_and_z() -> None:
    clock = ManualClock(50.0, datetime.fromisoformat("2026-01-01T12:00:00.250Z"))
    captured = Stamp(clock_s=48.0, error_s=0.0031)

    body = Encoder(INFO, clock).encode(label(captured=captured)).body

    assert body["utc"] == "2026-01-01T11:59:58.250Z"
    assert body["utc_err_ms"] == 3.1


@settings(deadline=None)
@given(delay_s=st.floats(0.0, 100.0), moved_s=st.floats(0.0, 100.0))
def test_latency_reaches_from_the_capture_to_the_encoding(delay_s: float, moved_s: float) -> None:
    clock = ManualClock()
    event = label(captured=Stamp(clock.now() - delay_s, 0.0))
    clock.advance(moved_s)

    body = Encoder(INFO, clock).encode(event).body

    assert math.isclose(body["latency_ms"], (delay_s + moved_s) * 1000, abs_tol=0.051)


def test_a_recording_has_neither_utc_nor_latency() -> None:
    body = encoded(label(captured=None)).body

    assert (body["utc"], body["utc_err_ms"], body["latency_ms"]) == (None, None, None)


def test_digital_zero_has_a_null_level_not_full_scale() -> None:
    silent = Label("main", 0, 1, {"speech": 0.0}, "other", False, Level(None, None), 0, None)

    body = encoded(silent).body

    assert (body["level_dbfs"], body["peak_dbfs"]) == (None, None)


def test_an_open_segment_is_dated_at_its_start_and_a_closed_one_at_its_end() -> None:
    clock = ManualClock()
    encoder = Encoder(INFO, clock)
    start, end = Stamp(clock.now() - 9.0, 0.001), Stamp(clock.now() - 2.0, 0.002)

    opened = encoder.encode(Segment("a", 7, "music", 0, None, {"music": 1.0}, start, None)).body
    closed = encoder.encode(Segment("a", 7, "music", 0, 112_000, {"music": 1.0}, start, end)).body

    assert opened["id"] == closed["id"] == "9f31c07a-a-7"
    assert (opened["state"], closed["state"]) == ("open", "closed")
    assert opened["utc"] == opened["utc_start"] == closed["utc_start"]
    lasted = datetime.fromisoformat(closed["utc"]) - datetime.fromisoformat(closed["utc_start"])
    assert lasted == timedelta(seconds=7)
    assert (opened["utc_err_ms"], closed["utc_err_ms"]) == (1.0, 2.0)


def test_a_heartbeat_tells_newcomers_which_segment_is_open_and_since_when() -> None:
    clock = ManualClock()
    encoder = Encoder(INFO, clock)
    change, _, opening, _, _, closing = one_of_each(captured=Stamp(clock.now(), 0.001))
    state = encoder.encode(change).body
    opened = encoder.encode(opening).body

    during = encoder.encode(Heartbeat((status(),))).body["channels"][0]
    encoder.encode(closing)
    after = encoder.encode(Heartbeat((status(),))).body["channels"][0]

    kept = ("id", "label", "start", "utc_start")
    assert during["segment"] == {key: opened[key] for key in kept}
    assert during["utc_since"] == state["utc"]
    assert after["segment"] is None


def test_both_messages_of_an_alarm_and_the_heartbeats_between_name_one_incident() -> None:
    clock = ManualClock()
    encoder = Encoder(INFO, clock)
    event = alarm(captured=Stamp(clock.now() - 10.0, 0.002))
    raised = encoder.encode(event).body
    clock._epoch += timedelta(seconds=5)  # the system's clock was set
    beat = encoder.encode(Heartbeat((status(alarms=(event,)),))).body
    cleared = encoder.encode(alarm(raised=False)).body

    ((listed,),) = [channel["alarms"] for channel in beat["channels"]]
    assert raised["incident"] == listed["incident"] == cleared["incident"] == "9f31c07a-main-0"
    assert (raised["state"], cleared["state"]) == ("raised", "cleared")
    assert listed["utc_since"] == raised["utc"]
    same = ("kind", "since", "sentence", "measured")
    assert [listed[key] for key in same] == [raised[key] for key in same]


def test_what_is_no_number_is_never_told() -> None:
    probs = {"speech": math.nan, "music": 0.5}
    broken = Label("main", 0, 1, probs, "other", False, Level(None, None), 0, None)

    with pytest.raises(ValueError, match="no probabilities"):
        encoded(broken)


def test_a_heartbeat_tells_loudness_in_lufs() -> None:
    loudness = Loudness(-22.806, -23.4, None, -18.0, -21.333, 57_600_000)

    beat = encoded(Heartbeat((status(loudness=loudness),))).body

    assert beat["channels"][0]["loudness"] == {
        "momentary_lufs": -22.81,
        "short_term_lufs": -23.4,
        "integrated_lufs": None,
        "momentary_max_lufs": -18.0,
        "short_term_max_lufs": -21.33,
        "integrated_since": 57_600_000,
    }


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (Timekeeping(), {"synchronised": None, "error_ms": None}),
        (Timekeeping(synchronised=False), {"synchronised": False, "error_ms": None}),
        (Timekeeping(True, 0.0123456), {"synchronised": True, "error_ms": 12.3}),
    ],
)
def test_a_heartbeat_tells_whether_the_machines_clock_is_right(
    known: Timekeeping, said: dict[str, Any]
) -> None:
    encoder = Encoder(INFO, ManualClock())
    encoder.timekeeping = lambda: known
    body = encoder.encode(Heartbeat(())).body

    assert body["clock"] == said
    assert strict_validator("heartbeat").is_valid(body)


def test_one_channels_open_segment_is_not_anothers() -> None:
    encoder = Encoder(INFO, ManualClock())
    encoder.encode(Segment("a", 0, "music", 0, None, {"music": 1.0}, None, None))

    a, b = encoder.encode(Heartbeat((status("a"), status("b")))).body["channels"]

    assert a["segment"]["label"] == "music"
    assert b["segment"] is None


def test_a_reason_that_is_no_utf_8_still_makes_a_message() -> None:
    message = encoded(StateChange("main", "no-capture", "caf\udce9 is gone", 0, None))

    assert decode(*message.frames()).body["reason"] == "caf? is gone"


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xfe", b"[]", b"{}", b'"v"', b'{"v": 2}', b"not json"]
)
def test_what_is_no_message_of_this_version_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="is not a message of version 1"):
        decode(b"label/main/", payload)
