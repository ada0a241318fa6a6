"""Formats in which annotation tools exchange segments: RTTM, TextGrid and JAMS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rtclassify import __version__
from rtclassify.cli.format_base import Format
from rtclassify.events import Segment

JAMS_VERSION = "0.3.5"


class Rttm(Format):
    """Segments as NIST's Rich Transcription Time Marked turns; the label is the speaker's name.

    Ten fields a line, parted by spaces, so names have underscores for theirs.
    """

    suffix = ".rttm"

    def segment(self, segment: Segment) -> None:
        """Write one line."""
        start, end = self._seconds(segment.start), self._seconds(segment.end)
        name, label = _word(Path(self._path).stem), _word(segment.label)
        self._line(f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {label} <NA> <NA>")


class Gathered(Format):
    """A format that must know all segments before it writes the first."""

    one_recording = True

    def begin(self, path: str, began: datetime | None = None) -> None:
        """Begin with nothing."""
        super().begin(path, began)
        self._gathered: list[tuple[float, float, str]] = []

    def segment(self, segment: Segment) -> None:
        """Keep the segment, unless it is shorter than a millisecond."""
        start, end = self._seconds(segment.start), self._seconds(segment.end)
        if start < end:
            self._gathered.append((start, end, segment.label))


class TextGrid(Gathered):
    """Segments as Praat's TextGrid with one tier of intervals; holes are intervals without text."""

    suffix = ".TextGrid"

    def end(self, length: int) -> None:
        """Write the file."""
        length_s = self._seconds(length)
        intervals = list(self._intervals(length_s))
        name = Path(self._path).stem
        self._line('File type = "ooTextFile"\nObject class = "TextGrid"\n')
        self._line(f"xmin = 0\nxmax = {length_s}\ntiers? <exists>\nsize = 1\nitem []:")
        self._line(f'    item [1]:\n        class = "IntervalTier"\n        name = {_quoted(name)}')
        self._line(f"        xmin = 0\n        xmax = {length_s}")
        self._line(f"        intervals: size = {len(intervals)}")
        for number, (start, end, label) in enumerate(intervals, 1):
            self._line(f"        intervals [{number}]:")
            self._line(f"            xmin = {start}\n            xmax = {end}")
            self._line(f"            text = {_quoted(label)}")

    def _intervals(self, length_s: float) -> Iterator[tuple[float, float, str]]:
        at = 0.0
        for start, end, label in self._gathered:
            if at < start:
                yield at, start, ""
            yield start, end, label
            at = end
        if at < length_s:
            yield at, length_s, ""


class Jams(Gathered):
    """Segments as a JAMS file with one annotation of the namespace ``segment_open``."""

    suffix = ".jams"

    def end(self, length: int) -> None:
        """Write the file."""
        length_s = self._seconds(length)
        about = {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": __version__,
            "corpus": "",
            "annotation_tools": f"rtclassify {__version__}",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
        }
        annotation = {
            "annotation_metadata": about,
            "namespace": "segment_open",
            "data": [
                {
                    "time": start,
                    "duration": round(end - start, 3),
                    "value": label,
                    "confidence": None,
                }
                for start, end, label in self._gathered
            ],
            "sandbox": {},
            "time": 0.0,
            "duration": length_s,
        }
        file = {
            "title": self._path,
            "artist": "",
            "release": "",
            "duration": length_s,
            "identifiers": {},
            "jams_version": JAMS_VERSION,
        }
        sandbox = {} if self._began is None else {"began": self._began.isoformat()}
        said = {"annotations": [annotation], "file_metadata": file, "sandbox": sandbox}
        self._line(json.dumps(said, indent=1))


def _word(text: str) -> str:
    return "_".join(text.split()) or "_"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
