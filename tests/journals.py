"""Journals made of messages as docs/stream.md has them, for tests of what reads journals."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtclassify.sinks.chain import Entry
from rtclassify.sinks.ledger import Ledger

RATE = 16_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
MIDNIGHT = int(datetime(2026, 3, 14, tzinfo=UTC).timestamp()) * 1000
LATE = 5
"""Hops after which a label is final."""

NAMED = {"model": "envelope@" + "0" * 64, "config": "1" * 64}


def utc(ms: int | None) -> str | None:
    if ms is None:
        return None
    said = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return said.replace("+00:00", "Z")


class Script:
    """Write down what a daemon would send."""

    def __init__(self, epoch: str = "9f31c07a") -> None:
        self.rows: list[Entry] = []
        self._epoch = epoch
        self._seqs: defaultdict[str, int] = defaultdict(int)

    def restart(self, epoch: str) -> None:
        self._epoch = epoch
        self._seqs.clear()

    def lose(self, topic: str, messages: int) -> None:
        """Leave a hole in the numbers of a topic."""
        self._seqs[topic] += messages

    def send(self, topic: str, sent_ms: int, **fields: Any) -> None:
        seq = self._seqs[topic]
        self._seqs[topic] += 1
        body = {"v": 1, "epoch": self._epoch, "seq": seq, **fields}
        payload = json.dumps(body, separators=(",", ":")).encode()
        self.rows.append(Entry(sent_ms, topic, self._epoch, seq, payload))

    def label(
        self,
        name: str,
        end_ms: int | None,
        *,
        start: int = 0,
        samples: int = RATE // 2,
        channel: str = "main",
        sent_ms: int | None = None,
        final: bool = True,
        lost: int = 0,
        error_ms: float | None = 3.1,
    ) -> None:
        sent = sent_ms if sent_ms is not None else (end_ms or 0) + 2_500
        self.send(
            f"label/{channel}/", sent, channel=channel, start=start, end=start + samples,
            rate=RATE, utc=utc(end_ms), utc_err_ms=error_ms, probs={"speech": 0.5, "music": 0.5},
            label=name, final=final, level_dbfs=-20.0, peak_dbfs=-6.0, model="m@0",
            latency_ms=2500.0, lost=lost,
        )  # fmt: skip

    def programme(
        self, start_ms: int, stretches: Sequence[tuple[str, float]], *, channel: str = "main",
        beats: bool = True,
    ) -> int:  # fmt: skip
        """Send half seconds of labels, seconds of each; return when the last one ends."""
        hops = [name for name, seconds in stretches for _ in range(round(seconds * 2))]
        for number in range(len(hops) + LATE):
            at = start_ms + 500 * (number + 1)
            sent, sample = at + 20, number * RATE // 2
            if number < len(hops):
                self.label(
                    hops[number], at, start=sample, channel=channel, final=False, sent_ms=sent
                )
            if number >= LATE:
                self.label(
                    hops[number - LATE], at - LATE * 500, start=sample - LATE * RATE // 2,
                    channel=channel, sent_ms=sent,
                )  # fmt: skip
            if beats and at % 1000 == 0 and number < len(hops):
                self.heartbeat(sent, [self.status("programme", start_ms, channel=channel)])
        return start_ms + 500 * len(hops)

    def state(self, state: str, sent_ms: int, at_ms: int | None, *, channel: str = "main") -> None:
        self.send(
            f"state/{channel}/", sent_ms, channel=channel, state=state, reason="", since=0,
            rate=RATE, utc=utc(at_ms), utc_err_ms=1.0,
        )  # fmt: skip

    def segment(
        self, state: str, label: str, start_ms: int, end_ms: int, *, channel: str = "main"
    ) -> None:
        closed = state == "closed"
        self.send(
            f"segment/{channel}/", end_ms + 3_000, channel=channel, id=f"{self._epoch}-{channel}-0",
            state=state, label=label, start=0, end=1 if closed else None, rate=RATE,
            utc_start=utc(start_ms), utc=utc(end_ms), utc_err_ms=1.0,
            probs={"speech": 0.25, "music": 0.75}, model="m@0",
        )  # fmt: skip

    def alarm(
        self, state: str, kind: str, at_ms: int, *, number: int = 0, channel: str = "main"
    ) -> None:
        self.send(
            f"alarm/{channel}/", at_ms + 10_000, channel=channel, kind=kind, state=state,
            incident=f"{self._epoch}-{channel}-{number}", since=0, rate=RATE, utc=utc(at_ms),
            utc_err_ms=1.0, sentence=f"{kind} {state}", measured=None, trigger=None,
            trigger_s=10.0, release=None, release_s=3.0,
        )  # fmt: skip

    def status(
        self, state: str, since_ms: int | None, *, channel: str = "main", lost: int = 0,
        segment: Any = None, alarms: Sequence[Any] = (),
    ) -> dict[str, Any]:  # fmt: skip
        return {
            "channel": channel, "state": state, "reason": "", "since": 0,
            "utc_since": utc(since_ms), "label": None, "level_dbfs": None, "peak_dbfs": None,
            "end": 0, "lost": lost, "segment": segment, "alarms": list(alarms), "loudness": None,
        }  # fmt: skip

    def heartbeat(self, sent_ms: int, statuses: Sequence[dict[str, Any]]) -> None:
        self.send(
            "heartbeat/", sent_ms, utc=utc(sent_ms), model="m@0", labels=["speech", "music"],
            rate=RATE, window=80_000, hop=8_000, channels=list(statuses), seqs={},
        )  # fmt: skip

    def write(self, path: Path) -> Path:
        """Make the journal, in the order of sending."""
        entries = sorted(self.rows, key=lambda row: row.utc_ms)
        ledger = Ledger(path, NAMED)
        for first in range(0, len(entries), 5_000):
            ledger.append(entries[first : first + 5_000])
        ledger.close()
        return path
