"""Health, readiness and metrics as HTTP clients see them, kind ones and others."""

from __future__ import annotations

import collections
import contextlib
import json
import resource
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from stream_events import INFO, label, labels, status

from rtclassify.clock import Timekeeping
from rtclassify.errors import SinkError
from rtclassify.events import Heartbeat, Label, Level, Stamp
from rtclassify.sinks.http import LONGEST_REQUEST, PATIENCE_S, Answer, HttpServer
from rtclassify.sinks.metrics import Metrics
from rtclassify.sinks.status import StatusSink
from rtclassify.sinks.wire import Encoder, JournalState
from rtclassify.testing import ManualClock

LONG_S = 20.0
SOON_S = 1.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sink(clock: ManualClock) -> Iterator[StatusSink]:
    with StatusSink("127.0.0.1:0", Encoder(INFO, clock), clock) as sink:
        yield sink


def get(sink: StatusSink, path: str) -> tuple[int, str]:
    """Return status and body of an answer."""
    url = f"http://127.0.0.1:{sink.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=LONG_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def told(sink: StatusSink, path: str) -> tuple[int, Any]:
    code, body = get(sink, path)
    return code, json.loads(body)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return every sample of a page of metrics by its name and the values of its labels."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_health_follows_the_turns_of_the_loop(sink: StatusSink, clock: ManualClock) -> None:
    assert told(sink, "/health") == (200, {"alive": True, "last_turn_s_ago": None})
    sink.send([])
    clock.advance(10.0)
    assert told(sink, "/health") == (200, {"alive": True, "last_turn_s_ago": 10.0})
    clock.advance(0.5)
    assert told(sink, "/health") == (503, {"alive": False, "last_turn_s_ago": 10.5})
    sink.send([])
    assert told(sink, "/health") == (200, {"alive": True, "last_turn_s_ago": 0.0})


def test_ready_means_that_every_channel_was_labelled_just_now(
    sink: StatusSink, clock: ManualClock
) -> None:
    beat = Heartbeat((status("one"), status("two")))
    assert told(sink, "/ready") == (503, {"ready": False, "channels": {}})
    sink.send([beat, label("one")])
    assert told(sink, "/ready") == (
        503, {"ready": False, "channels": {"one": None, "two": "no label yet"}}
    )  # fmt: skip
    sink.send([label("two")])
    assert told(sink, "/ready") == (200, {"ready": True, "channels": {"one": None, "two": None}})
    clock.advance(3.0)
    sink.send([label("two")])
    clock.advance(0.1)
    assert told(sink, "/ready") == (
        503, {"ready": False, "channels": {"one": "no label for 3.1 s", "two": None}}
    )  # fmt: skip


def test_a_channel_without_capture_is_not_ready_and_says_why(sink: StatusSink) -> None:
    sink.send([Heartbeat((status("one", state="no-capture", reason="unplugged"),))])
    assert told(sink, "/ready")[1]["channels"] == {"one": "no-capture: unplugged"}


@settings(deadline=None, max_examples=50)
@given(st.lists(labels, max_size=30))
def test_labels_are_counted_by_channel_label_and_finality(sent: list[Label]) -> None:
    metrics = Metrics(Encoder(INFO, ManualClock()))
    for one in sent:
        metrics.count(one, 0.0)

    counted = samples(metrics.text().decode())
    expected = collections.Counter(
        ("rtclassify_labels_total", e.channel, str(e.final).lower(), e.label) for e in sent
    )
    assert {key: counted[key] for key in counted if key[0] == "rtclassify_labels_total"} == expected


def test_metrics_tell_what_a_heartbeat_tells(sink: StatusSink, clock: ManualClock) -> None:
    sink.send(
        [
            label("one", captured=Stamp(clock.now() - 0.04, 0.001)),
            label("one", final=True, captured=Stamp(clock.now() - 2.5, 0.001)),
            Heartbeat(
                (
                    status("one", lost=8_000),
                    status("two", state="digital-silence", level=Level(None, None)),
                )
            ),
        ]
    )
    sink.send([])
    code, text = get(sink, "/metrics")

    seen = samples(text)
    assert code == 200
    assert seen["rtclassify_loop_turns_total",] == 2
    assert seen["rtclassify_lost_seconds_total", "one"] == 0.5
    assert seen["rtclassify_level_dbfs", "one"] == -23.456
    assert seen["rtclassify_level_dbfs", "two"] == float("-inf")
    assert seen["rtclassify_capture_state", "one", "programme"] == 1
    assert seen["rtclassify_capture_state", "two", "programme"] == 0
    assert seen["rtclassify_capture_state", "two", "digital-silence"] == 1
    assert seen["rtclassify_label_latency_seconds_count", "one"] == 1
    assert seen["rtclassify_label_latency_seconds_bucket", "one", "0.05"] == 1
    assert seen["rtclassify_label_latency_seconds_bucket", "one", "0.025"] == 0
    assert f'model="{INFO.model}"' in text
    assert "rtclassify_build_info" in text
    assert "_created" not in text


def test_metrics_tell_of_the_journal_and_the_clock_where_they_are_known() -> None:
    encoder = Encoder(INFO, ManualClock())
    metrics = Metrics(encoder)
    before = samples(metrics.text().decode())
    encoder.journal = lambda: JournalState("disk full", 12, 7)
    encoder.timekeeping = lambda: Timekeeping(synchronised=False)
    after = samples(metrics.text().decode())

    assert {key: after[key] for key in after.keys() - before.keys()} == {
        ("rtclassify_journal_failing",): 1,
        ("rtclassify_journal_waiting",): 12,
        ("rtclassify_journal_missing_total",): 7,
        ("rtclassify_clock_synchronised",): 0,
    }


@pytest.mark.parametrize(
    ("request_", "status_line"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 "),
        (b"POST /health HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"HTTP/1.1 405 "),
        (b"GET /health?verbose HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 "),
        (b"\x16\x03\x01\r\n\r\n", b"HTTP/1.1 405 "),
        (b"\r\n\r\n", b"HTTP/1.1 405 "),
        (b"x" * LONGEST_REQUEST + b"x", b""),
        (b"", b""),
    ],
)
def test_what_is_no_good_request_gets_a_short_answer_or_none(
    sink: StatusSink, request_: bytes, status_line: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", sink.port), LONG_S) as client:
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(4096):
                answer += part

    assert answer.startswith(status_line)
    assert bool(answer) == bool(status_line)


@pytest.mark.timeout(60)
def test_a_thousand_clients_that_never_finish_delay_neither_labels_nor_an_honest_one(
    sink: StatusSink,
) -> None:
    _allow_files(4096)
    with contextlib.ExitStack() as crowd:
        for number in range(1000):
            client = crowd.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", sink.port))
            with contextlib.suppress(OSError):
                client.send(b"GET /met" if number % 2 else bytes(range(256)))
        longest = 0.0
        for number in range(200):
            begun = time.perf_counter()
            sink.send([label(number=number)])
            longest = max(longest, time.perf_counter() - begun)
            time.sleep(0.002)
        code, _ = get(sink, "/health")

    assert code == 200
    assert longest < SOON_S


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), max(hard, count)))


def test_a_client_that_reads_nothing_is_left_after_a_while() -> None:
    huge = Answer(bytes(50_000_000), "application/octet-stream")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with (
        HttpServer(listener, lambda _path: huge) as server,
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        await_(lambda: server.talks, "the connection")
        begun = time.monotonic()
        await_(lambda: not server.talks, "its end")

    assert time.monotonic() - begun > PATIENCE_S / 2, "it was not left, it had got everything"


def await_(claim: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + LONG_S
    while not claim():
        assert time.monotonic() < limit, f"{what} did not come to pass"
        time.sleep(0.01)


def test_a_port_in_use_is_one_sentence(sink: StatusSink, clock: ManualClock) -> None:
    with (
        pytest.raises(SinkError, match=r"cannot be served: .* in use; choose another port\.$"),
        StatusSink(f"127.0.0.1:{sink.port}", Encoder(INFO, clock), clock),
    ):
        pass


def test_a_port_is_free_again_when_the_sink_has_closed(clock: ManualClock) -> None:
    with StatusSink("127.0.0.1:0", Encoder(INFO, clock), clock) as first:
        port = first.port
        socket.create_connection(("127.0.0.1", port)).close()
    with StatusSink(f"127.0.0.1:{port}", Encoder(INFO, clock), clock) as second:
        assert get(second, "/health")[0] == 200
