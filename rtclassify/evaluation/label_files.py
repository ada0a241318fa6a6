"""Labels that anybody made, as scores: CSV, Audacity's label tracks, JSON lines.

A row says from when to when what is heard. Rows with probabilities overlap as windows do, and a
frame's score is their mean; of rows that only name labels, a frame has every label that a row
over it names.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtclassify.errors import DataError
from rtclassify.evaluation.trial import FRAME_S, LABELS, Scored, Trial, scored
from rtclassify.stream import Samples

SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt")
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("speech", "male", "female", "voice", "talk"), ("speech",)),
    **dict.fromkeys(("music", "singing", "song"), ("music",)),
    "both": LABELS,
    **dict.fromkeys(("", "other", "neither", "none", "noise", "unsure"), ()),
    **dict.fromkeys(("silence", "noenergy", "digital-silence", "no audio", "no-capture"), ()),
}
"""What other systems call things, in terms of `LABELS`."""


class Row(NamedTuple):
    """Seconds, and a probability for each of `LABELS`; `measured` if somebody gave them."""

    start_s: float
    end_s: float
    probs: tuple[float, ...]
    measured: bool


class LabelFiles:
    """The labels of many recordings.

    Args:
        place: A file whose rows name their recordings, or a folder with one file for each
            recording, named like it (``talk.csv`` for ``talk.wav``).

    Raises:
        DataError: If there is no such place, or it holds no labels that can be read.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._rows: dict[str, list[Row]] = defaultdict(list)
        files = sorted(p for p in place.rglob("*") if p.suffix in SUFFIXES)
        if place.is_file():
            files = [place]
        for file in files:
            for path, row in _read(file):
                self._rows[path or file.stem].append(row)
        if not self._rows:
            raise DataError(
                f"{place} holds no labels; give CSV, Audacity's labels or JSON lines "
                f"({', '.join(SUFFIXES)}), one file a recording or with a path in each row."
            )

    def score(self, trial: Trial) -> Scored:
        """Return the labels of a trial's recordings as its scores.

        Raises:
            DataError: If one of the recordings has none.
        """
        scores = np.zeros(trial.truth.shape, np.float32)
        for part in trial.parts:
            before = round(part.start_s / FRAME_S)
            frames = part.end - part.start
            scores[part.start : part.end] = on_grid(self._of(part.path), before + frames)[before:]
        return scored(trial, scores)

    def _of(self, path: Path) -> Sequence[Row]:
        for key in (str(path), path.as_posix(), path.name, path.stem):
            if key in self._rows:
                return self._rows[key]
        named = next((key for key in self._rows if path.as_posix().endswith("/" + key)), None)
        if named is None:
            raise DataError(
                f"{self.place} has no labels for {path}; name its label file {path.stem}.csv, or "
                "give the path in each row."
            )
        return self._rows[named]


def on_grid(rows: Sequence[Row], frames: int) -> Samples:
    """Lay rows over frames, shape (frames, labels); where there are none, nothing is heard."""
    total = np.zeros((frames, len(LABELS)))
    count = np.zeros((frames, 1))
    for row in rows:
        span = slice(max(0, round(row.start_s / FRAME_S)), max(0, round(row.end_s / FRAME_S)))
        if row.measured:
            total[span] += row.probs
            count[span] += 1
        else:
            total[span] = np.maximum(total[span], row.probs)
    return (total / np.maximum(count, 1)).astype(np.float32)


def _read(file: Path) -> Iterator[tuple[str, Row]]:
    """Yield each row with the recording it names, or an empty string."""
    try:
        text = file.read_text("utf-8-sig")
        lines = [line for line in text.splitlines() if line.strip()]
        for number, fields in enumerate(_fields(lines), 1):
            try:
                yield fields.get("path", ""), _row(fields)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{file}, row {number} says no start, end and label ({error}); give seconds "
                    "and speech, music, speech+music or other."
                ) from error
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise DataError(f"{file} cannot be read as labels ({error}).") from error


def _fields(lines: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield rows as mappings, whatever the format; Audacity's have no names."""
    if lines and lines[0].lstrip().startswith("{"):
        for line in lines:
            said = json.loads(line)
            yield {**said, **said.get("probs", {})}
        return
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    names = None
    if lines and re.search(r"\b(start|start_s)\b", lines[0]):
        names = next(csv.reader(lines[:1], delimiter=delimiter))
        lines = lines[1:]
    yield from csv.DictReader(lines, names or ("start", "end", "label"), delimiter=delimiter)


def _row(fields: Mapping[str, str]) -> Row:
    start_s = float(fields["start_s"] if "start_s" in fields else fields["start"])
    end_s = float(fields["end_s"] if "end_s" in fields else fields["end"])
    if all(label in fields for label in LABELS):
        return Row(start_s, end_s, tuple(float(fields[label]) for label in LABELS), True)
    return Row(start_s, end_s, _named(fields["label"] or ""), False)


def _named(label: str) -> tuple[float, ...]:
    whole = label.strip().lower()
    words = [whole] if whole in WORDS else [word.strip() for word in re.split(r"[+,/&]", whole)]
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no label")
    present = {label for word in words for label in WORDS[word]}
    return tuple(float(name in present) for name in LABELS)
