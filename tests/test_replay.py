"""The journal's socket: what it answers, what it says is gone, and what nobody can do to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_events import INFO, label, one_of_each

from rtclassify.config import JournalSettings
from rtclassify.errors import SinkError
from rtclassify.sinks import answers
from rtclassify.sinks.answers import answer
from rtclassify.sinks.chain import Entry
from rtclassify.sinks.journal import JournalSink
from rtclassify.sinks.ledger import Ledger
from rtclassify.sinks.reading import open_for_reading
from rtclassify.sinks.replay import ANSWERS, LONGEST_REQUEST, ReplayServer
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import Subscription, ZmqSink
from rtclassify.testing import ManualClock

NAMED = {"model": "envelope@" + "0" * 64, "config": "1" * 64}
PATIENCE_MS = 20_000
NUMBERS = itertools.count()
EPOCH = "9f31c07a"


def body(seq: int, epoch: str = EPOCH) -> bytes:
    return b'{"v":1,"epoch":"%b","seq":%d}' % (epoch.encode(), seq)


@pytest.fixture
def ledger(memory: Path) -> Iterator[Ledger]:
    ledger = Ledger(memory / str(next(NUMBERS)), NAMED)
    yield ledger
    ledger.close()


def keep(ledger: Ledger, *seqs: int, topic: str = "label/a/", epoch: str = EPOCH) -> None:
    ledger.append([Entry(seq * 1000, topic, epoch, seq, body(seq, epoch)) for seq in seqs])


def asked(ledger: Ledger, ask: str, *, now: str = EPOCH, **request: Any) -> tuple[Any, list[int]]:
    """Return the header and the numbers of the messages; `from_` stands for from."""
    named = {key.rstrip("_"): value for key, value in request.items()}
    payload = json.dumps({"v": 1, "id": 7, "ask": ask, **named}).encode()
    header, *rest = answer(ledger._db, payload, epoch=now)
    said = json.loads(header)
    assert said["count"] == len(rest) // 2
    assert said["id"] == 7
    return said, [json.loads(message)["seq"] for message in rest[1::2]]


def of_topic(ledger: Ledger, **request: Any) -> tuple[Any, list[int]]:
    return asked(ledger, "topic", **{"topic": "label/a/", "epoch": EPOCH, "from_": 0, **request})


def test_messages_come_as_they_were_sent(ledger: Ledger) -> None:
    keep(ledger, 0, 1, 2)
    request = {"v": 1, "ask": "topic", "topic": "label/a/", "epoch": EPOCH, "from": 1, "to": 3}
    _, *frames = answer(ledger._db, json.dumps(request).encode(), epoch=EPOCH)

    assert frames == [b"label/a/", body(1), b"label/a/", body(2)]


def test_what_the_running_epoch_has_not_said_yet_is_not_gone(ledger: Ledger) -> None:
    keep(ledger, 0, 1, 2)
    header, seqs = of_topic(ledger, from_=1, to=9)

    assert seqs == [1, 2]
    assert header["gone"] == []
    assert "then" not in header


def test_holes_and_what_retention_took_are_gone(ledger: Ledger) -> None:
    keep(ledger, 3, 4, 7)
    header, seqs = of_topic(ledger, from_=1, to=9)

    assert seqs == [3, 4, 7]
    assert header["gone"] == [[1, 3], [5, 7]]
    assert header["oldest"] == "1970-01-01T00:00:03.000Z"


def test_of_an_epoch_that_ended_all_that_is_not_there_is_gone(ledger: Ledger) -> None:
    keep(ledger, 0, 1)
    keep(ledger, 0, epoch="next")

    assert of_topic(ledger, now="next", from_=1, to=5)[0]["gone"] == [[2, 5]]
    assert of_topic(ledger, now="next", from_=2)[0]["gone"] == []
    assert of_topic(ledger, now="next", from_=3)[0]["gone"] == [[3, None]]
    assert of_topic(ledger, now="next", epoch="unheard of", to=2)[0]["gone"] == [[0, 2]]


def test_one_epoch_leads_to_the_next_and_the_last_to_none(ledger: Ledger) -> None:
    for epoch in ("one", "two", "three"):
        keep(ledger, 0, epoch=epoch, topic=f"label/{epoch}/")
    chain = {
        epoch: of_topic(ledger, now="three", epoch=epoch)[0].get("then", "running")
        for epoch in ("unheard of", "one", "two", "three")
    }

    assert chain == {"unheard of": "one", "one": "two", "two": "three", "three": "running"}


@settings(deadline=None, max_examples=30)
@given(
    kept=st.sets(st.integers(0, 40)),
    wanted=st.builds(lambda a, n: range(a, a + n), st.integers(0, 20), st.integers(0, 40)),
    most=st.integers(1, 5),
    now=st.sampled_from([EPOCH, "next"]),
)
def test_pieces_of_an_answer_together_are_the_whole_answer(
    memory: Path, kept: set[int], wanted: range, most: int, now: str
) -> None:
    """Messages and gone ones cover the interval: all of it, or to the last that is known."""
    ledger = Ledger(memory / str(next(NUMBERS)), NAMED)
    keep(ledger, *sorted(kept))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "MESSAGES", most)
        seqs: list[int] = []
        gone: list[list[int]] = []
        request = {"from": wanted.start, "to": wanted.stop}
        while request is not None:
            header, piece = of_topic(ledger, now=now, **request)
            assert len(piece) <= most
            seqs, gone = seqs + piece, gone + header["gone"]
            request = header["next"] and {key: header["next"][key] for key in ("from", "to")}
    ledger.close()

    assert seqs == sorted(kept & set(wanted))
    missing = [seq for interval in gone for seq in range(*interval)]
    known = wanted.stop if now == "next" else max([0, *seqs])
    assert missing == [seq for seq in wanted if seq not in kept and seq < known]


def test_by_time_all_topics_come_in_the_order_of_their_times(ledger: Ledger) -> None:
    for seq in range(6):
        keep(ledger, seq, topic=f"label/{'ab'[seq % 2]}/")
    span = {"from_": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:05+00:00"}

    assert asked(ledger, "utc", from_="1970-01-01T00:00:00Z")[1] == list(range(6))
    assert asked(ledger, "utc", **span)[1] == [1, 2, 3, 4]
    assert asked(ledger, "utc", topics=["label/b/", "segment/"], **span)[1] == [1, 3]
    assert asked(ledger, "utc", from_="1970-01-01T00:00:04Z")[1] == [4, 5]


def test_by_time_too_the_pieces_are_the_whole(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SCANNED", 3)
    keep(ledger, *range(20), topic="label/b/")
    keep(ledger, *range(20))
    request: Any = {"from": "1970-01-01T00:00:00Z", "topics": ["label/a/"]}
    seqs: list[int] = []
    while request is not None:
        header, piece = asked(ledger, "utc", **request)
        request = header["next"] and {
            key: header["next"][key] for key in ("from", "topics", "after")
        }
        seqs += piece

    assert seqs == list(range(20))


@pytest.mark.parametrize(
    ("ask", "start"), [("topic", {"from": 0}), ("utc", {"from": "1970-01-01T00:00:00Z"})]
)
def test_an_answer_of_long_messages_is_cut_short(
    ledger: Ledger, ask: str, start: dict[str, Any]
) -> None:
    long = b'{"seq":0,"x":"%b"}' % (b"x" * 100_000)
    ledger.append([Entry(0, "label/a/", EPOCH, seq, long) for seq in range(10)])
    header, seqs = asked(ledger, ask, topic="label/a/", epoch=EPOCH, **start)

    assert 1 < len(seqs) < 5
    assert header["next"] is not None


def test_a_snapshot_is_the_last_heartbeat_and_the_segments_that_are_open(memory: Path) -> None:
    path, encoder = memory / str(next(NUMBERS)), Encoder(INFO, ManualClock())
    with JournalSink(JournalSettings(str(path)), encoder, ManualClock(), named=NAMED) as sink:
        sink.send(one_of_each("main"))
        sink.send(one_of_each("main")[:5])
    db = open_for_reading(path)
    _, *frames = answer(db, b'{"v":1,"ask":"snapshot"}', epoch=INFO.epoch)
    db.close()

    assert frames[::2] == [b"heartbeat/", b"segment/main/"]
    said = [json.loads(frame) for frame in frames[1::2]]
    assert (said[0]["seq"], said[1]["seq"], said[1]["state"]) == (1, 2, "open")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["id", "ask", "topic", "epoch", "from", "to", "topics", "after"])
ASKS = st.sampled_from(["topic", "utc", "snapshot"])
TIMES = st.sampled_from(["2026-03-14T09:00:00Z", "2026-03-14", "9999-12-31T23:59:59-23:59", "0"])
GARBLED = st.dictionaries(KEYS, JSON | ASKS | TIMES).map(lambda d: json.dumps({"v": 1, **d}))
REQUESTS = (
    st.binary(max_size=200)
    | JSON.map(json.dumps).map(str.encode)
    | GARBLED.map(str.encode)
    | st.just(b"[" * 4_000)
    | st.just(b'{"v":1,"ask":"topic","topic":"\\ud800","epoch":"","from":0}')
    | st.just(b'{"v":1,"ask":"topic","topic":"","epoch":"","from":1e999}')
)


@settings(deadline=None, max_examples=300)
@given(payload=REQUESTS)
def test_whatever_is_asked_gets_an_answer_of_a_bounded_size(memory: Path, payload: bytes) -> None:
    path = memory / "asked"
    if not path.exists():
        ledger = Ledger(path, NAMED)
        keep(ledger, *range(20))
        ledger.close()
    db = open_for_reading(path)
    header, *_ = answer(db, payload, epoch=EPOCH)
    db.close()

    assert json.loads(header)["v"] == 1


@contextmanager
def served(folder: Path) -> Iterator[tuple[ZmqSink, JournalSink, ReplayServer]]:
    """Publish, journal and answer, as the daemon does."""
    clock = ManualClock()
    encoder = Encoder(INFO, clock)
    path = folder / str(next(NUMBERS))
    with (
        ZmqSink("tcp://127.0.0.1:*", encoder) as published,
        JournalSink(JournalSettings(str(path)), encoder, clock, named=NAMED) as journal,
        ReplayServer("tcp://127.0.0.1:*", path, epoch=INFO.epoch) as server,
    ):
        yield published, journal, server


@contextmanager
def client(
    server: ReplayServer, kind: int = zmq.DEALER, *, rcvhwm: int = 1_000
) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.rcvhwm = rcvhwm
        socket.linger = 0
        socket.rcvtimeo = PATIENCE_MS
        socket.connect(server.address)
        yield socket


def snapshot_count(socket: zmq.Socket[bytes]) -> int:
    socket.send(b'{"v":1,"ask":"snapshot"}')
    return int(json.loads(socket.recv_multipart()[0])["count"])


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_both_kinds_of_client_sockets_are_answered(memory: Path, kind: int) -> None:
    with served(memory) as (_, _, server), client(server, kind) as socket:
        assert snapshot_count(socket) == 0


def test_an_address_in_use_is_refused_with_one_sentence(memory: Path) -> None:
    with (
        served(memory) as (published, _, _),
        pytest.raises(SinkError, match="is in use by another program; stop that one"),
        ReplayServer(published.address, memory / "none", epoch="e"),
    ):
        pass


_random = random.Random(0)  # noqa: S311 - not for secrets
FLOOD = [
    *([_random.randbytes(_random.randrange(300))] for _ in range(100)),
    *([_random.randbytes(3_000)] for _ in range(10)),
    *([b"[" * n] for n in (1, 100, 4_000)),
    [b'{"v":1,"ask":"topic","topic":"label/a/","epoch":"e","from":-1}'],
    [b'{"v":1,"ask":"utc","from":"yesterday"}'],
    [b""],
    [b""] * 1_000,
    [_random.randbytes(LONGEST_REQUEST)] * 1_000,
    [*[b""] * 1_000, b'{"v":1,"ask":"snapshot"}'],
    [b"", b"", b'{"v":1,"ask":"snapshot"}'],
]
GROWTH_MB = 200.0


@pytest.mark.timeout(120)
def test_ten_thousand_malformed_requests_cost_no_label_and_delay_none(memory: Path) -> None:
    """Bytes, JSON of no sense, frames by the thousand, while labels go out and are timed."""
    before_mb = memory_mb()
    flooding = threading.Event()
    with (
        served(memory) as (published, journal, server),
        Subscription(published.address, ["label/"]) as subscriber,
        client(server) as vandal,
    ):
        assert published._open_socket.poll(PATIENCE_MS)
        published.send([])
        sent = 0

        def flood() -> None:
            for number in range(10_000):
                vandal.send_multipart(FLOOD[number % len(FLOOD)])
            flooding.set()

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        late_s, seqs = [], []
        while not flooding.is_set() or sent < 100:
            began = time.monotonic()
            turn = [label(number=sent)]
            for sink in (published, journal):
                sink.send(turn)
            sent += 1
            message = subscriber.receive(PATIENCE_MS / 1000)
            assert message is not None
            seqs.append(message.body["seq"])
            late_s.append(time.monotonic() - began)
            time.sleep(0.005)
        thread.join()
        with client(server) as polite:
            snapshot_count(polite)

    assert seqs == list(range(sent))
    assert max(late_s) < 2.0, "rough: it is 250 ms on a quiet machine"
    assert journal.state.missing == 0
    assert memory_mb() - before_mb < GROWTH_MB


def memory_mb() -> float:
    """Return what memory this process has, the clients in it included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.parametrize("frames", [[b"", b""], [b""] * 1_000])
def test_a_request_of_many_frames_is_refused(memory: Path, frames: list[bytes]) -> None:
    with served(memory) as (_, _, server), client(server) as socket:
        socket.send_multipart([*frames, b'{"v":1,"ask":"snapshot"}'])
        *_, header = socket.recv_multipart()

    assert json.loads(header)["error"] == "it has many frames"


def greeted(address: str, identity: bytes) -> socket.socket:
    """Shake hands by hand, under a name that no library would let one choose."""
    port = int(address.rpartition(":")[2])
    peer = socket.create_connection(("127.0.0.1", port), PATIENCE_MS / 1000)
    peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48))
    said = {b"Socket-Type": b"DEALER", b"Identity": identity}
    ready = b"\x05READY" + b"".join(
        bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value
        for name, value in said.items()
    )
    peer.sendall(b"\x06" + len(ready).to_bytes(8, "big") + ready)
    return peer


def test_peers_of_strange_names_harm_nobody(memory: Path) -> None:
    """None, the one of another, one as ZeroMQ makes them itself, and one that is too long."""
    names = [b"", b"x", b"x", b"\0\0\0\0\1", b"\0\0\0\0\1", b"y" * 255, b"z" * 256, b"z" * 4_000]
    request = b'{"v":1,"ask":"snapshot"}'
    with served(memory) as (_, _, server), contextlib.ExitStack() as peers:
        for name in names:
            peer = peers.enter_context(greeted(server.address, name))
            with contextlib.suppress(ConnectionError):
                peer.sendall(b"\x01\x00\x00" + bytes([len(request)]) + request)
        with client(server) as polite:
            assert [snapshot_count(polite) for _ in range(len(names))] == [0] * len(names)


def test_who_sends_too_much_at_once_is_cut_off_and_the_others_are_served(memory: Path) -> None:
    with (
        served(memory) as (_, _, server),
        client(server) as bore,
        client(server) as polite,
    ):
        bore.send(b"x" * (LONGEST_REQUEST + 1))
        assert snapshot_count(polite) == 0
        bore.rcvtimeo = 200
        with pytest.raises(zmq.Again):
            bore.recv_multipart()


def test_answers_that_are_not_fetched_are_thrown_away_but_for_a_few(memory: Path) -> None:
    asking = 300
    with (
        served(memory) as (_, journal, server),
        client(server) as polite,
        client(server, rcvhwm=1) as idle,
    ):
        for number in range(500):
            journal.send([label(number=number), *one_of_each()[4:5]])
        while snapshot_count(polite) == 0:
            time.sleep(0.05)
        request = b'{"v":1,"ask":"utc","from":"2020-01-01T00:00:00Z"}'
        for _ in range(asking):
            idle.send(request)
        for _ in range(asking):
            # Clients take turns, so with each of these one more of the others is dealt with.
            assert snapshot_count(polite) == 1
        idle.rcvtimeo = 1_000
        got = 0
        with contextlib.suppress(zmq.Again):
            while idle.recv_multipart():
                got += 1

    assert ANSWERS <= got < asking // 2
