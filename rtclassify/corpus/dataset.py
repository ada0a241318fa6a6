"""What there is to learn from: labelled recordings, and which of them are held out.

Data is a folder of class folders (GTZAN's and MUSAN's layouts as they unpack) or a table of
path, start, end, labels and, where it has them, split and source. See docs/training.md.
"""

from __future__ import annotations

import csv
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtclassify.errors import DataError

LABELS = ("speech", "music")
"""What a model trained here answers, in this order."""

Split = Literal["train", "val"]

VALIDATION_SHARE = 0.2
COLUMNS = ("path", "start", "end", "labels")
NOT_AUDIO = {".txt", ".md", ".tsv", ".csv", ".json", ".xml", ".html", ".pdf", ".py", ".log"}
# The first that matches a folder's name; speech_music before speech.
CLASS_FOLDERS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"both|speech[ _+&-]*(and[ _]*)?music", re.IGNORECASE), frozenset(LABELS)),
    (re.compile(r"speech", re.IGNORECASE), frozenset({"speech"})),
    (re.compile(r"music", re.IGNORECASE), frozenset({"music"})),
    (re.compile(r"noise|other", re.IGNORECASE), frozenset()),
)
CLASS_NAMES = "speech, music, speech_music, noise (or other)"


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, or a part of one, in which the same answers hold throughout.

    Args:
        path: The file.
        labels: Which of `LABELS` are heard in it; empty for neither.
        source: Where it comes from, as ``collection`` or ``collection/voice``; collections
            are balanced against each other, and a window never joins two sources' clips.
        split: Whether it trains or validates; None until `split` has decided.
        start_s: Where the part begins.
        end_s: Where it ends; None for the end of the file.
    """

    path: Path
    labels: frozenset[str]
    source: str
    split: Split | None = None
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def kind(self) -> str:
        """The labels as one word: ``speech``, ``music``, ``both`` or ``other``."""
        if len(self.labels) == len(LABELS):
            return "both"
        return next(iter(self.labels), "other")


Heard = tuple[Clip, NDArray[np.int16]]
"""A clip and its samples."""


def find(data: Path) -> list[Clip]:
    """Return the clips of a folder of class folders, or of a table.

    Raises:
        DataError: If there are none, a folder's name is no class, or the table lacks a column or
            holds an impossible value.
    """
    if not data.exists():
        raise DataError(f"{data} does not exist; give a folder of class folders or a TSV.")
    clips = list(_from_folder(data) if data.is_dir() else _from_table(data))
    if not clips:
        raise DataError(f"{data} holds no recordings; put them into folders named {CLASS_NAMES}.")
    return clips


def refuse_one_sided(clips: Iterable[Clip], place: str) -> None:
    """Check that there is something to tell apart.

    Raises:
        DataError: If speech or music is heard in none of the clips.
    """
    heard = {label for clip in clips for label in clip.labels}
    for label in LABELS:
        if label not in heard:
            raise DataError(
                f"{place} holds no {label}, and a model learns what it is from what it is not; "
                f"add recordings of {label}."
            )


def split(clips: Sequence[Clip], *, seed: int, by_source: bool) -> list[Split]:
    """Say of each clip whether it trains or validates: a fifth of each kind is held out.

    Args:
        clips: Those that say it themselves are taken at their word.
        seed: The same seed holds out the same clips.
        by_source: Keep a source's clips on one side; otherwise a file's.

    Raises:
        DataError: If a kind has nothing to hold out.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if not clip.split:
            groups[clip.kind].add(_group(clip, by_source=by_source))
    held_out: set[tuple[str, str]] = set()
    for kind, names in sorted(groups.items()):
        if len(names) < 2:  # noqa: PLR2004 - one to train on, one to hold out
            unit = "source" if by_source else "file"
            raise DataError(
                f"{kind} has one {unit} alone, and at least two are needed so that one can be "
                "held out; add recordings, or say train and val in a TSV's split column."
            )
        order = sorted(names)
        random.Random(f"{seed} {kind}").shuffle(order)  # noqa: S311 - not cryptography
        count = max(1, round(VALIDATION_SHARE * len(order)))
        held_out |= {(kind, name) for name in order[:count]}
    return [
        clip.split
        or ("val" if (clip.kind, _group(clip, by_source=by_source)) in held_out else "train")
        for clip in clips
    ]


def _group(clip: Clip, *, by_source: bool) -> str:
    return clip.source if by_source else str(clip.path)


def _from_folder(data: Path) -> Iterable[Clip]:
    folders = _subfolders(data)
    if len(folders) == 1 and any(map(_class_of, _subfolders(folders[0]))):
        data, folders = folders[0], _subfolders(folders[0])
    for folder in folders:
        rule = _class_of(folder)
        if rule is None:
            raise DataError(
                f"{folder} is not named after a class; rename it to begin with one of "
                f"{CLASS_NAMES}, or move it elsewhere."
            )
        for path in sorted(folder.rglob("*")):
            if _looks_like_audio(path):
                source = "/".join(path.parent.relative_to(data).parts[:2])
                yield Clip(path, rule[1], source)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _class_of(folder: Path) -> tuple[re.Pattern[str], frozenset[str]] | None:
    return next((rule for rule in CLASS_FOLDERS if rule[0].match(folder.name)), None)


def _looks_like_audio(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.is_file() and bool(path.suffix) and path.suffix not in NOT_AUDIO and not hidden


def _from_table(table: Path) -> Iterable[Clip]:
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        try:
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{table} has no column {', '.join(missing)}; its first line must name "
                    f"{', '.join(COLUMNS)} (and split, source if wanted) between tabs."
                )
            for row in rows:
                yield _from_row(row, f"{table}, line {rows.line_num}", table.parent)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{table} is not a table in UTF-8 ({error}); give a TSV.") from error


def _from_row(row: dict[str, str | None], place: str, folder: Path) -> Clip:
    words = {word for word in (row["labels"] or "").split("+") if word not in ("", "other")}
    side = row.get("split") or None
    if not words <= set(LABELS):
        raise DataError(
            f"{place}: labels are {row['labels']!r}; use speech, music, speech+music or other."
        )
    if side not in (None, "train", "val"):
        raise DataError(f"{place}: split is {side!r}; use train or val, or leave it empty.")
    path = folder / (row["path"] or "")
    try:
        start_s = float(row["start"] or 0)
        end_s = float(row["end"]) if row["end"] else None
    except ValueError as error:
        raise DataError(f"{place}: {error}; start and end are seconds, or empty.") from error
    source = row.get("source") or str(Path(row["path"] or "").parent)
    return Clip(path, frozenset(words), source, side, start_s, end_s)  # type: ignore[arg-type]
