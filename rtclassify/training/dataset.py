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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rtclassify.errors import DataError

LABELS = ("speech", "music")
"""What a model trained here answers, in this order."""

Split = Literal["train", "val"]

VALIDATION_SHARE = 0.2
COLUMNS = ("path", "start", "end", "labels")
NOT_AUDIO = {".txt", ".md", ".tsv", ".csv", ".json", ".xml", ".html", ".pdf", ".py", ".log"}
# The first that matches a folder's name; speech_music before speech.
CLASS_FOLDERS = (
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


def find(data: Path) -> list[Clip]:
    """Return the clips of a folder of class folders, or of a table.

    Raises:
        DataError: If there are none, they are all of one class, a folder's name is no class, or
            the table lacks a column or holds an impossible value.
    """
    if not data.exists():
        raise DataError(f"{data} does not exist; give a folder of class folders or a TSV.")
    clips = list(_from_folder(data) if data.is_dir() else _from_table(data))
    if not clips:
        raise DataError(f"{data} holds no recordings; put them into folders named {CLASS_NAMES}.")
    kinds = {clip.kind for clip in clips}
    if len(kinds) == 1:
        raise DataError(
            f"{data} holds {kinds.pop()} alone, which teaches no difference; "
            f"add recordings of another of {CLASS_NAMES}."
        )
    return clips


def split(clips: Sequence[Clip], *, seed: int, by_source: bool) -> list[Clip]:
    """Hold out a fifth of each kind for validation, where the data does not say itself.

    Args:
        clips: With a split already, or without.
        seed: The same seed holds out the same clips.
        by_source: Keep a source's clips on one side; otherwise a file's.

    Raises:
        DataError: If a kind has nothing to hold out.
    """
    decided = [clip for clip in clips if clip.split]
    groups: dict[str, dict[str, list[Clip]]] = defaultdict(lambda: defaultdict(list))
    for clip in clips:
        if not clip.split:
            groups[clip.kind][clip.source if by_source else str(clip.path)].append(clip)
    for kind, parts in sorted(groups.items()):
        if len(parts) < 2:  # noqa: PLR2004 - one to train on, one to hold out
            unit = "source" if by_source else "file"
            raise DataError(
                f"{kind} has one {unit} alone, and at least two are needed so that one can be "
                "held out; add recordings, or say train and val in a TSV's split column."
            )
        order = sorted(parts)
        random.Random(f"{seed} {kind}").shuffle(order)  # noqa: S311 - not cryptography
        held_out = order[: max(1, round(VALIDATION_SHARE * len(order)))]
        for name, members in parts.items():
            side: Split = "val" if name in held_out else "train"
            decided += [replace(clip, split=side) for clip in members]
    return decided


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
