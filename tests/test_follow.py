"""The rules of a subscription: whatever is lost on the way, every message is said once, in order.

A `World` plays daemon, socket and journal: it publishes, loses and restarts, and its subscriber
dies and comes back, as hypothesis likes; requests are answered by the very code of the daemon.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.client.follow import HELD, Follower
from rtclassify.client.items import Gap, Item, Message
from rtclassify.sinks.answers import answer
from rtclassify.sinks.chain import Entry
from rtclassify.sinks.ledger import Ledger
from rtclassify.sinks.reading import open_for_reading

TOPICS = ("x/a/", "x/b/")
PATIENCE_S = 60.0
NUMBERS = itertools.count()


class World:
    """A daemon, its journal, and a subscriber on a line that loses messages."""

    def __init__(self, path: Path, *, replays: bool = True) -> None:
        self._ledger = Ledger(path, {"model": "m", "config": "c"})
        self._path = path
        self.epoch = -1
        self.now = 0.0
        self.seqs: dict[str, int] = {}
        self.uncommitted: list[Entry] = []
        self.sent: list[tuple[str, str, int]] = []
        self.kept: set[tuple[str, str, int]] = set()
        self.followed: set[tuple[str, str]] = set()
        self.items: list[Item] = []
        self._replays = replays
        self.follower = Follower(["x/"], replays=replays)
        self.restart()

    @property
    def name(self) -> str:
        return f"e{self.epoch}"

    def restart(self) -> None:
        """End without a farewell, as kill -9 does."""
        self.commit()
        self.epoch += 1
        self.seqs = {}

    def publish(self, topic: str, *, arrives: bool, journalled: bool = True) -> None:
        seq = self.seqs.get(topic, -1) + 1
        self.seqs[topic] = seq
        body: dict[str, Any] = {"v": 1, "epoch": self.name, "seq": seq}
        if topic == "heartbeat/":
            body["seqs"] = {t: s for t, s in self.seqs.items() if t != topic}
        else:
            self.sent.append((topic, self.name, seq))
        if journalled:
            self.kept.add((topic, self.name, seq))
            entry = Entry(round(self.now * 1000), topic, self.name, seq, json.dumps(body).encode())
            self.uncommitted.append(entry)
        if arrives:
            self.followed |= {(name, self.name) for name in TOPICS}
            self.follower.hear(topic, body, self.now)

    def die(self) -> None:
        """Let the subscriber die and come back with the position that it wrote down."""
        since = json.loads(json.dumps(self.follower.position))
        self.follower = Follower(["x/"], replays=self._replays, since=since)
        self.followed = {(item.topic, item.epoch) for item in self.items}

    def commit(self) -> None:
        self._ledger.append(self.uncommitted)
        self.uncommitted = []

    def ask(self, *, arrives: bool = True) -> int:
        """Send what the subscriber asks, and its answers back; return how many there were."""
        requests = self.follower.requests(self.now)
        for request in requests:
            if arrives:
                self.answer(json.dumps(request.body()).encode())
        return len(requests)

    def answer(self, request: bytes) -> None:
        db = open_for_reading(self._path)
        header, *rest = answer(db, request, epoch=self.name)
        db.close()
        bodies = [json.loads(body) for body in rest[1::2]]
        topics = [topic.decode() for topic in rest[::2]]
        self.follower.answer(json.loads(header), list(zip(topics, bodies, strict=True)), self.now)

    def take(self, most: int = 1_000_000) -> None:
        while most > 0 and (item := self.follower.take()) is not None:
            self.items.append(item)
            most -= 1

    def settle(self) -> None:
        """Let the line be good for as long as the subscriber's patience lasts."""
        for topic in TOPICS:
            self.publish(topic, arrives=False)
        self.commit()
        until = self.now + PATIENCE_S
        self.publish("heartbeat/", arrives=True)
        while self.now < until:
            self.now += 0.25
            if not self.ask():
                self.now += 1.0
        self.take()

    def close(self) -> None:
        self._ledger.close()


def heard(items: list[Item], topic: str) -> list[tuple[str, str, int]]:
    return [
        (item.topic, item.epoch, item.seq)
        for item in items
        if isinstance(item, Message) and item.topic == topic
    ]


def is_within(message: tuple[str, str, int], gap: Gap) -> bool:
    topic, epoch, seq = message
    after = seq + 1 if gap.end is None else gap.end
    return (gap.topic, gap.epoch) == (topic, epoch) and gap.start <= seq < after


def steps(*, losses: bool = False) -> st.SearchStrategy[list[tuple[str, Any, bool, bool]]]:
    """Draw what happens: a step, its argument, whether it arrives and whether it is journalled."""
    kept = st.booleans() if losses else st.just(True)
    topics = st.sampled_from([*TOPICS, "heartbeat/"])
    return st.lists(
        st.one_of(
            st.tuples(st.just("publish"), topics, st.booleans(), kept),
            st.tuples(st.just("ask"), st.floats(0.0, 3.0), st.booleans(), st.just(True)),
            st.tuples(st.just("take"), st.integers(1, 5), st.just(True), st.just(True)),
            st.tuples(
                st.sampled_from(["commit", "restart", "die"]),
                st.none(), st.just(True), st.just(True),
            ),
        ),
        max_size=60,
    )  # fmt: skip


def play(world: World, script: list[tuple[str, Any, bool, bool]]) -> None:
    world.publish("heartbeat/", arrives=True)
    for step, what, arrives, kept in script:
        if step == "publish":
            world.publish(what, arrives=arrives, journalled=kept)
        elif step == "ask":
            world.now += what
            world.ask(arrives=arrives)
        elif step == "take":
            world.take(what)
        else:
            getattr(world, step)()
    world.settle()
    world.close()


@settings(deadline=None)
@given(script=steps())
def test_every_message_is_said_once_and_in_order_whatever_is_lost(
    memory: Path, script: list[Any]
) -> None:
    world = World(memory / str(next(NUMBERS)))
    play(world, script)

    for topic in TOPICS:
        assert heard(world.items, topic) == [sent for sent in world.sent if sent[0] == topic]
    assert not [item for item in world.items if isinstance(item, Gap)]


@settings(deadline=None)
@given(script=steps(losses=True))
def test_what_the_journal_does_not_have_is_a_gap_and_all_else_is_said(
    memory: Path, script: list[Any]
) -> None:
    world = World(memory / str(next(NUMBERS)))
    play(world, script)

    said = [message for topic in TOPICS for message in heard(world.items, topic)]
    gaps = [item for item in world.items if isinstance(item, Gap)]
    missed = set(world.sent) - set(said)
    assert len(said) == len(set(said))
    assert missed.isdisjoint(world.kept)
    for topic in TOPICS:
        order = [sent for sent in world.sent if sent[0] == topic]
        assert heard(world.items, topic) == [sent for sent in order if sent not in missed]
    assert not [m for m in said if any(is_within(m, gap) for gap in gaps)]
    for message in missed:
        if message[1] == world.name:
            assert any(is_within(message, gap) for gap in gaps)


@settings(deadline=None)
@given(script=steps())
def test_without_a_journal_every_missed_message_of_an_epoch_heard_is_in_a_gap(
    memory: Path, script: list[Any]
) -> None:
    world = World(memory / str(next(NUMBERS)), replays=False)
    for topic in TOPICS:
        world.publish(topic, arrives=True)
    play(world, script)

    said = [message for topic in TOPICS for message in heard(world.items, topic)]
    gaps = [item for item in world.items if isinstance(item, Gap)]
    assert len(said) == len(set(said))
    assert not [m for m in said if any(is_within(m, gap) for gap in gaps)]
    for message in set(world.sent) - set(said):
        if message[:2] in world.followed:
            assert any(is_within(message, gap) for gap in gaps), message


def test_a_long_absence_holds_no_more_than_it_may(memory: Path) -> None:
    """Messages that come while older ones are fetched would fill memory if all were held."""
    world = World(memory / str(next(NUMBERS)))
    world.publish("x/a/", arrives=True)
    world.publish("x/a/", arrives=False)
    for _ in range(3 * HELD):
        world.publish("x/a/", arrives=True)
    held = world.follower._tracks["x/a/"].held

    assert len(held) == HELD
    world.settle()
    assert heard(world.items, "x/a/") == [sent for sent in world.sent if sent[0] == "x/a/"]


def test_what_was_held_of_an_epoch_is_not_taken_for_the_next_ones(memory: Path) -> None:
    world = World(memory / str(next(NUMBERS)))
    for arrives in (True, False, True):
        world.publish("x/a/", arrives=arrives)
    world.restart()
    for arrives in (True, True, False):
        world.publish("x/a/", arrives=arrives)
    world.settle()

    assert heard(world.items, "x/a/") == [sent for sent in world.sent if sent[0] == "x/a/"]


def test_what_comes_twice_is_said_once() -> None:
    follower = Follower(["x/"], replays=True)
    for seq in (0, 0, 1, 0, 1, 3, 3):
        follower.hear("x/a/", {"v": 1, "epoch": "e0", "seq": seq}, 0.0)
    (request,) = follower.requests(0.0)
    said = [("x/a/", {"v": 1, "epoch": "e0", "seq": seq}) for seq in (1, 2, 2)]
    follower.answer({"id": request.id, "epoch": "e0", "gone": []}, said, 0.0)

    items = list(iter(follower.take, None))
    assert [item.seq for item in items if isinstance(item, Message)] == [0, 1, 2, 3]


def test_an_answer_that_nobody_waits_for_is_dropped(memory: Path) -> None:
    world = World(memory / str(next(NUMBERS)))
    world.publish("x/a/", arrives=True)
    world.commit()
    for header in ({"v": 1, "id": 99, "gone": [], "next": None}, {"v": 1, "id": None, "error": ""}):
        world.follower.answer(header, [("x/a/", {"v": 1, "epoch": "e0", "seq": 0})], 0.0)
    world.take()

    assert heard(world.items, "x/a/") == [("x/a/", "e0", 0)]


def test_a_newcomer_is_told_nothing_of_what_was_before(memory: Path) -> None:
    world = World(memory / str(next(NUMBERS)))
    for _ in range(5):
        world.publish("x/a/", arrives=False)
    world.publish("heartbeat/", arrives=True)
    world.publish("x/a/", arrives=True)
    world.settle()

    assert [seq for _, _, seq in heard(world.items, "x/a/")] == [5, 6]


def missing_one(world: World) -> None:
    for arrives in (True, False, True):
        world.publish("x/a/", arrives=arrives)


def test_a_journal_that_never_answers_is_given_up_while_the_stream_goes_on(memory: Path) -> None:
    world = World(memory / str(next(NUMBERS)))
    missing_one(world)
    for _ in range(100):
        world.now += 1.0
        world.publish("heartbeat/", arrives=True)
        world.ask(arrives=False)
    world.take()

    said, gap, after = world.items
    assert heard([said, after], "x/a/") == [("x/a/", "e0", 0), ("x/a/", "e0", 2)]
    assert isinstance(gap, Gap)
    assert (gap.start, gap.end) == (1, 2)


def test_a_daemon_that_is_down_is_waited_for(memory: Path) -> None:
    world = World(memory / str(next(NUMBERS)))
    missing_one(world)
    for _ in range(100):
        world.now += 60.0
        world.ask(arrives=False)
    world.settle()

    assert heard(world.items, "x/a/") == [sent for sent in world.sent if sent[0] == "x/a/"]
