"""The rules of a subscription: whatever is lost on the way, every message is said once, in order.

A `World` plays daemon, socket and journal: it publishes, drops, repeats and restarts as hypothesis
likes, and answers requests by the very code of the daemon.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.client.follow import Follower
from rtclassify.client.items import Gap, Item, Message
from rtclassify.sinks.answers import answer
from rtclassify.sinks.ledger import Entry, Ledger, open_for_reading

TOPICS = ("x/a/", "x/b/")
PATIENCE_S = 60.0
NUMBERS = itertools.count()


class World:
    """A daemon, its journal, and a subscriber on a line that loses messages."""

    def __init__(self, path: Path, *, replays: bool = True, since: Any = None) -> None:
        self._ledger = Ledger(path, {"model": "m", "config": "c"})
        self._path = path
        self.epoch = -1
        self.now = 0.0
        self.seqs: dict[str, int] = {}
        self.uncommitted: list[Entry] = []
        self.sent: list[tuple[str, str, int]] = []
        self.items: list[Item] = []
        self.follower = Follower(["x/"], replays=replays, since=since)
        self.restart()

    @property
    def name(self) -> str:
        return f"e{self.epoch}"

    def restart(self) -> None:
        """End without a farewell, as kill -9 does; all but `lost` is in the journal."""
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
            entry = Entry(round(self.now * 1000), topic, self.name, seq, json.dumps(body).encode())
            self.uncommitted.append(entry)
        if arrives:
            self.follower.hear(topic, body, self.now)
            self.take()

    def commit(self) -> None:
        self._ledger.append(self.uncommitted)
        self.uncommitted = []

    def ask(self, *, arrives: bool = True) -> int:
        """Send what the subscriber asks, and its answers back; return how many there were."""
        requests = self.follower.requests(self.now)
        for request in requests:
            if arrives:
                self.answer(json.dumps(request.body()).encode())
        self.take()
        return len(requests)

    def answer(self, request: bytes) -> None:
        db = open_for_reading(self._path)
        header, *rest = answer(db, request, epoch=self.name)
        db.close()
        bodies = [json.loads(body) for body in rest[1::2]]
        topics = [topic.decode() for topic in rest[::2]]
        self.follower.answer(json.loads(header), list(zip(topics, bodies, strict=True)), self.now)

    def take(self) -> None:
        self.items += iter(self.follower.take, None)

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

    def close(self) -> None:
        self._ledger.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journals")


def heard(items: list[Item], topic: str) -> list[tuple[str, str, int]]:
    return [
        (item.topic, item.epoch, item.seq)
        for item in items
        if isinstance(item, Message) and item.topic == topic
    ]


STEPS = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(TOPICS), st.booleans()),
    st.tuples(st.just("heartbeat"), st.just("heartbeat/"), st.booleans()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("commit"), st.none(), st.none()),
    st.tuples(st.just("ask"), st.floats(0.0, 3.0), st.booleans()),
)


def play(world: World, steps: list[Any]) -> None:
    for kind, what, arrives in steps:
        if kind in ("publish", "heartbeat"):
            world.publish(what, arrives=arrives)
        elif kind == "restart":
            world.restart()
        elif kind == "commit":
            world.commit()
        else:
            world.now += what
            world.ask(arrives=arrives)


@settings(deadline=None, max_examples=300)
@given(steps=st.lists(STEPS, max_size=60))
def test_every_message_is_said_once_and_in_order_whatever_is_lost(
    folder: Path, steps: list[Any]
) -> None:
    world = World(folder / str(next(NUMBERS)))
    world.publish("heartbeat/", arrives=True)
    play(world, steps)
    world.settle()

    for topic in TOPICS:
        assert heard(world.items, topic) == [sent for sent in world.sent if sent[0] == topic]
    assert not [item for item in world.items if isinstance(item, Gap)]
    world.close()
