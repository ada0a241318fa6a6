"""``rtclassify evaluate``: how good a model is, where it fails, and beside whom."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rtclassify.cli.loading import load_engine
from rtclassify.cli.train import cache_folder
from rtclassify.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from rtclassify.evaluation.contest import Contestant, Watcher
    from rtclassify.evaluation.trial import Trial

Side = Literal["val", "train", "all"]

LABELS_RATE = 16_000
"""Samples per second at which audio is read if no model asks for another."""


def evaluate(
    model: Annotated[
        str, typer.Argument(help="The model, by name or path; with --labels it may be left out.")
    ],
    data: Annotated[
        Path | None,
        typer.Argument(help="Labelled recordings, as `rtclassify train` takes them."),
    ] = None,
    split: Annotated[Side, typer.Option(help="Which rows of a TSV with a split column.")] = "val",
    conditions: Annotated[
        str, typer.Option(help="What is done to the audio: names between commas, or all.")
    ] = "clean",
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Of each source, under each of --conditions all.")
    ] = 3.0,
    compare: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Set another model beside it.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Anybody's labels of the same recordings: CSV, Audacity, JSON lines."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write all figures as JSON.")
    ] = None,
    html_path: Annotated[
        Path | None, typer.Option("--html", metavar="PATH", help="Write a report for people.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded audio is kept for the next time.")
    ] = None,
) -> None:
    """Judge a model by recordings whose truth is known.

    Prints a table. Two models, or a model and somebody's labels, are compared, with the interval
    in which their difference lies.
    """
    from rich.console import Console

    from rtclassify.cli.scoreboard import show
    from rtclassify.evaluation.contest import hold
    from rtclassify.evaluation.stage import ALL, named, staged

    models, data = _sides(model, data, compare, labels)
    wanted = named(conditions)
    if labels and wanted != ["clean"]:
        raise UsageError("--labels are of the recordings as they are; leave out --conditions.")
    terminal = Console(stderr=True)
    contestants, rate = _contestants(models, labels, terminal)
    trials = _trials(data, split, cache or cache_folder(), rate, terminal)
    known_s = sum(trial.duration_s for trial in trials) * len(wanted)
    with _bar(terminal, None if ALL in wanted else known_s) as watcher:
        report, worst = hold(staged(trials, wanted, minutes), contestants, watcher)
    if json_path:
        _write(json_path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if html_path:
        from rtclassify.evaluation.page import page

        _write(html_path, page(report, worst.windows, data=data.name))
    show(report, Console())


def _sides(
    model: str, data: Path | None, compare: str | None, labels: Path | None
) -> tuple[list[str], Path]:
    """Say which models take part and what the data is; a lone argument beside --labels is data."""
    if compare and labels:
        raise UsageError("--compare and --labels are one too many; compare two at a time.")
    if data is None and not labels:
        raise UsageError("There is no DATA; give a folder of class folders or a TSV.")
    if data is None:
        return [], Path(model)
    return [model, *([compare] if compare else [])], data


def _contestants(
    models: Sequence[str], labels: Path | None, terminal: Console
) -> tuple[list[Contestant], int]:
    """Load the models, read the labels; return them with the rate of the audio they hear."""
    from rtclassify.evaluation.contest import Contestant
    from rtclassify.evaluation.label_files import LabelFiles

    said = LabelFiles(labels) if labels else None
    engines = [load_engine(name, hop_s=None, device="auto", terminal=terminal) for name in models]
    if len({engine.rate for engine in engines}) > 1:
        rates = " and ".join(f"{engine.rate:,} Hz" for engine in engines)
        raise UsageError(
            f"The models hear at {rates}; compare models of one rate, or each by itself."
        )
    from rtclassify.evaluation.scoring import scorer

    contestants = [Contestant(engine.name, scorer(engine)) for engine in engines]
    if said:
        contestants.append(Contestant(said.place.name, said.score))
    return contestants, engines[0].rate if engines else LABELS_RATE


def _trials(data: Path, side: Side, cache: Path, rate: int, terminal: Console) -> list[Trial]:
    """Read the recordings and say which could not be read."""
    from rtclassify.corpus.decode import Cache
    from rtclassify.evaluation import recordings

    found = recordings.find(data, side)
    with terminal.status(f"reading {len(found):,} recordings"):
        audio, unreadable = Cache(cache, rate).take([c[0].path for c in found], lambda _: None)
    if unreadable:
        terminal.print(
            f"{len(unreadable)} of {len(found)} files could not be read and are left out; the "
            f"first is {unreadable[0]}.",
            highlight=False,
            soft_wrap=True,
        )
    return list(recordings.trials(found, audio, rate))


@contextmanager
def _bar(terminal: Console, total_s: float | None) -> Iterator[Watcher]:
    """Show how much audio is scored, and for how long it will go on where that is known."""
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    said = TextColumn("{task.completed:,.0f} s of audio")
    with Progress("scoring", BarColumn(), said, Remaining(), console=terminal) as progress:
        task = progress.add_task("", total=total_s)
        yield lambda seconds: progress.advance(task, seconds)
        progress.update(task, visible=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); give another.") from error
