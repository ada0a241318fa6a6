"""The rules by which a subscriber misses nothing: messages and answers in, items and requests out.

This knows no socket and no clock; the sync and the asyncio subscription drive it.

Each topic is a sequence of numbered messages, and a `_Track` says which one is due. A message that
comes too early is held while those before it are asked for; how many there are is known from a
later message or a heartbeat. A new epoch means that the daemon was restarted: what it still said
before is asked for to its end, then what it said in epochs that were missed altogether, and then
the new one goes on from its first message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtclassify.client.items import Gap, Item, Request, message

HELD = 1_000
"""Early messages that a topic holds; later ones are asked for when it is their turn."""

ANSWER_S = 2.0
"""How long an answer is waited for before the request is sent again."""

RETRY_S = 0.5
TRIES = 20
"""Requests in a row that bring nothing before the messages are given up."""

UNKNOWN = ""

Position = Mapping[str, Sequence[Any]]
"""For each topic the epoch and the number of the next message, ``{"label/main/": ["9f…", 7]}``.

`UNKNOWN` stands for the topics that were not heard of yet.
"""


@dataclass(slots=True)
class _Track:
    """Where a topic stands.

    Args:
        topic: Its name.
        epoch: Of the message that is due.
        due: Its number.
        held: Messages of the live epoch that came before their turn, in order.
        known: In the live epoch, the number after the last one known to have been sent.
        asked: The request that is under way.
        at: When to ask, or to ask again.
        tries: Requests that brought nothing since the last that did.
    """

    topic: str
    epoch: str
    due: int
    held: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    known: int = 0
    asked: Request | None = None
    at: float = 0.0
    tries: int = 0


class Follower:
    """Decide what a subscriber hears, and what it asks the journal for.

    Args:
        topics: Prefixes of the topics wanted.
        replays: Whether there is a journal to ask.
        since: Where an earlier subscription stood; without it the stream begins now.
    """

    def __init__(
        self, topics: Sequence[str], *, replays: bool, since: Position | None = None
    ) -> None:
        self._topics = tuple(topics)
        self._replays = replays
        self._items: deque[Item] = deque()
        self._tracks = {
            topic: _Track(topic, epoch, due)
            for topic, (epoch, due) in (since or {}).items()
            if topic and topic.startswith(self._topics)
        }
        self._position = {topic: (t.epoch, t.due) for topic, t in self._tracks.items()}
        self._live = ""
        self._origin: str = (since or {}).get(UNKNOWN, ("", 0))[0]
        self._heard_at = 0.0
        self._requests = 0

    @property
    def position(self) -> dict[str, tuple[str, int]]:
        """Where the items taken so far lead to; JSON can keep it, `since` goes on from it."""
        unknown = {UNKNOWN: (self._origin, 0)} if self._origin else {}
        return {**unknown, **self._position}

    def take(self) -> Item | None:
        """Return the next item, or None when there is none now."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Gap):
            after = item.start if item.end is None else item.end
        else:
            after = item.seq + 1
        self._position[item.topic] = (item.epoch, after)
        return item

    def hear(self, topic: str, body: Mapping[str, Any], now: float) -> None:
        """Take a message from the socket."""
        epoch = body["epoch"]
        self._heard_at = now
        if epoch != self._live:
            self._restart(epoch, now)
        if topic.startswith(self._topics):
            self._arrive(topic, body)
        if topic == "heartbeat/":
            for said, last in body["seqs"].items():
                if said.startswith(self._topics):
                    self._expect(said, last)
            self._origin = self._origin or epoch

    def answer(
        self,
        header: Mapping[str, Any],
        messages: Sequence[tuple[str, Mapping[str, Any]]],
        now: float,
    ) -> None:
        """Take the journal's answer to a request; one that nobody waits for is dropped."""
        waiting = {t.asked.id: t for t in self._tracks.values() if t.asked is not None}
        track = waiting.get(header.get("id", 0))
        if track is None:
            return
        track.asked = None
        before = track.due
        for _, body in messages:
            self._skip(track, body["seq"], "gone from the journal")
            self._say(track, body)
        for start, end in header["gone"]:
            if start >= track.due:
                self._skip(track, end, "gone from the journal")
        fruitless = track.due == before
        track.tries = track.tries + 1 if fruitless else 0
        track.at = now + RETRY_S if fruitless else now
        if track.epoch != self._live and "then" in header:
            self._turn(track, header["then"] or self._live, now)
        self._catch_up(track)

    def requests(self, now: float) -> list[Request]:
        """Return what is to be asked now; what was asked in vain too often becomes a gap."""
        due = []
        for track in self._tracks.values():
            if not self._is_behind(track) or now < track.at:
                continue
            if track.asked is not None:
                # A daemon that is down answers nothing, and is waited for.
                track.tries += self._heard_at > track.at - ANSWER_S
            if track.tries > TRIES:
                self._give_up(track, "the journal does not have them", now)
                self._catch_up(track)
                continue
            self._requests += 1
            track.at = now + ANSWER_S
            track.asked = Request(
                self._requests, track.topic, track.epoch, track.due, self._end(track)
            )
            due.append(track.asked)
        return due

    def _restart(self, epoch: str, now: float) -> None:
        """Hear of a new epoch: what is held of the old one can be asked for."""
        if self._live:
            self._origin = (self._replays and self._origin) or epoch
        self._live = epoch
        for track in self._tracks.values():
            track.held.clear()
            track.known, track.tries, track.at, track.asked = 0, 0, now, None
            self._catch_up(track)

    def _arrive(self, topic: str, body: Mapping[str, Any]) -> None:
        seq = body["seq"]
        track = self._track(topic, seq)
        if seq < track.known or (track.epoch == self._live and seq < track.due):
            return
        track.known = seq + 1
        if len(track.held) < HELD:
            track.held[seq] = body
        self._catch_up(track)

    def _expect(self, topic: str, last: int) -> None:
        track = self._track(topic, last + 1)
        track.known = max(track.known, last + 1)
        self._catch_up(track)

    def _track(self, topic: str, now_at: int) -> _Track:
        """Return where a topic stands: a new one begins at `now_at`, or where all topics did."""
        if topic not in self._tracks:
            begun = self._origin
            track = _Track(topic, begun or self._live, 0 if begun else now_at)
            self._tracks[topic] = track
            self._position[topic] = (track.epoch, track.due)
        return self._tracks[topic]

    def _end(self, track: _Track) -> int | None:
        """Return where the messages that can be asked for end; None for the end of the epoch."""
        return next(iter(track.held), track.known) if track.epoch == self._live else None

    def _is_behind(self, track: _Track) -> bool:
        end = self._end(track)
        return bool(self._live) and (end is None or end > track.due)

    def _catch_up(self, track: _Track) -> None:
        """Say what is due and held; without a journal what is missing is a gap at once."""
        while True:
            while track.epoch == self._live and track.due in track.held:
                self._say(track, track.held.pop(track.due))
            if self._replays or not self._is_behind(track):
                return
            self._give_up(track, "there is no journal to ask", track.at)

    def _say(self, track: _Track, body: Mapping[str, Any]) -> None:
        if body["seq"] >= track.due:
            self._items.append(message(track.topic, body))
            track.due = body["seq"] + 1

    def _skip(self, track: _Track, end: int | None, reason: str) -> None:
        if end is None or end > track.due:
            self._items.append(Gap(track.topic, track.epoch, track.due, end, reason))
            track.due = track.due if end is None else end

    def _give_up(self, track: _Track, reason: str, now: float) -> None:
        end = self._end(track)
        self._skip(track, end, reason)
        track.asked, track.tries = None, 0
        if end is None:
            self._turn(track, self._live, now)

    def _turn(self, track: _Track, epoch: str, now: float) -> None:
        """Go on with the first message of another epoch."""
        track.epoch, track.due, track.tries, track.at = epoch, 0, 0, now
