"""How the labels of recordings are written: one class a format, one line of `FORMATS` each.

Every format hears of every recording, of each of its labels and of each segment that closed, and
writes what it is about at once, so that memory does not grow with the recording.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from rich.text import Text

from rtclassify.cli.colours import colour_of
from rtclassify.cli.format_base import Format
from rtclassify.cli.interchange import Jams, Rttm, TextGrid
from rtclassify.events import Label, Segment


class JsonLines(Format):
    """One JSON object a label."""

    suffix = ".jsonl"

    def label(self, label: Label) -> None:
        """Write ``{"path", "start_s", "end_s", "probs", "label"}``."""
        said = {
            "path": self._path,
            "start_s": self._seconds(label.start),
            "end_s": self._seconds(label.end),
            "probs": _rounded(label.probs),
            "label": label.label,
        }
        self._line(json.dumps(said, ensure_ascii=False))


class Csv(Format):
    """One row a label, with a column for each of the model's answers."""

    suffix = ".csv"

    def head(self) -> None:
        """Write the names of the columns."""
        self._row("path", "start_s", "end_s", "label", *self._answers)

    def label(self, label: Label) -> None:
        """Write one row."""
        probs = _rounded(label.probs)
        self._row(
            self._path,
            self._seconds(label.start),
            self._seconds(label.end),
            label.label,
            *(probs[answer] for answer in self._answers),
        )

    def _row(self, *cells: object) -> None:
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow(cells)
        self._line(row.getvalue())


class SegmentCsv(Csv):
    """One row a segment, with times of day."""

    def head(self) -> None:
        """Write the names of the columns."""
        self._row("channel", "start", "end", "seconds", "label", *self._answers)

    def segment(self, segment: Segment) -> None:
        """Write one row."""
        start_s, end_s = self._seconds(segment.start), self._seconds(segment.end)
        probs = _rounded(segment.probs)
        self._row(
            self._path,
            self._instant(start_s),
            self._instant(end_s),
            round(end_s - start_s, 3),
            segment.label,
            *(probs.get(answer, "") for answer in self._answers),
        )

    def label(self, label: Label) -> None:
        """Write nothing: segments say it."""

    def _instant(self, seconds: float) -> str:
        if self._began is None:
            raise AssertionError("nobody said when the recording began")
        at = self._began + timedelta(seconds=seconds)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Audacity(Format):
    """Segments as Audacity imports them: start, end and label, parted by tabs."""

    one_recording = True

    def segment(self, segment: Segment) -> None:
        """Write one line."""
        start, end = self._seconds(segment.start), self._seconds(segment.end)
        self._line(f"{start:.6f}\t{end:.6f}\t{segment.label}")


class WebVtt(Format):
    """Segments as the cues of a WebVTT track."""

    suffix = ".vtt"
    one_recording = True

    def head(self) -> None:
        """Write the signature."""
        self._line("WEBVTT")

    def segment(self, segment: Segment) -> None:
        """Write one cue."""
        start, end = self._seconds(segment.start), self._seconds(segment.end)
        text = html.escape(segment.label, quote=False)
        self._line()
        self._line(f"{_cue_time(start)} --> {_cue_time(end)}\n{text}")


class Table(Format):
    """Segments for people, and what each recording held in all."""

    def begin(self, path: str, began: datetime | None = None) -> None:
        """Remember the recording's name; one that cannot be read gets no heading."""
        super().begin(path, began)
        self._totals: dict[str, int] = {}

    def segment(self, segment: Segment) -> None:
        """Write one row, after the name if it is the first, and count the segment."""
        if not self._totals:
            self._console.print(Text(self._path, style="bold"), soft_wrap=True)
        end = segment.end or 0
        self._totals[segment.label] = self._totals.get(segment.label, 0) + end - segment.start
        start_s, end_s = self._seconds(segment.start), self._seconds(end)
        row = Text.assemble(
            (f"  {clock_time(start_s):>9} – {clock_time(end_s):<9}  ", "dim"),
            (f"{segment.label:<{_WIDEST}}", colour_of(segment.label)),
        )
        for answer in self._answers:
            row.append_text(_meter(answer, segment.probs[answer]))
        self._console.print(row, soft_wrap=True)

    def end(self, length: int) -> None:
        """Write how much of the recording was what, and how long it is."""
        for label, samples in sorted(self._totals.items(), key=lambda total: -total[1]):
            share = samples / sum(self._totals.values())
            self._total(f"{share:.0%}", samples, Text(label, colour_of(label)))
        self._total("in all", length, Text())
        self._line()

    def _total(self, share: str, samples: int, label: Text) -> None:
        minutes = clock_time(self._seconds(samples))
        row = Text.assemble((f"  {share:>9}", "dim"), (f"   {minutes:<9}  ", "bold"), label)
        row.rstrip()
        self._console.print(row, soft_wrap=True)


_WIDEST = len("digital-silence")
_METER_CELLS = 6


def _meter(answer: str, prob: float) -> Text:
    filled = round(prob * _METER_CELLS)
    return Text.assemble(
        (f"  {answer} ", "dim"),
        ("━" * filled, colour_of(answer)),
        ("─" * (_METER_CELLS - filled), "bright_black"),
        f" {prob:.2f}",
    )


FORMATS: dict[str, type[Format]] = {
    "table": Table,
    "jsonl": JsonLines,
    "csv": Csv,
    "audacity": Audacity,
    "webvtt": WebVtt,
    "rttm": Rttm,
    "textgrid": TextGrid,
    "jams": Jams,
}
"""Of recordings."""

SEGMENT_FORMATS: dict[str, type[Format]] = {
    "csv": SegmentCsv,
    **{name: FORMATS[name] for name in ("audacity", "rttm", "webvtt", "textgrid", "jams")},
}
"""Of segments alone."""


def clock_time(seconds: float) -> str:
    """Return ``m:ss.t``, or ``h:mm:ss.t`` from one hour on."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{clock}:{tenths // 10:02d}.{tenths % 10}"


def _cue_time(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{thousandths // 1000:02d}.{thousandths % 1000:03d}"


def _rounded(probs: Mapping[str, float]) -> dict[str, float]:
    return {answer: round(prob, 4) for answer, prob in probs.items()}
