"""Putting trials before models, and what comes of it: the report as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rtclassify.errors import DataError
from rtclassify.evaluation.trial import Scored, Trial
from rtclassify.evaluation.verdict import compare, judge
from rtclassify.evaluation.worst import Worst

SCHEMA = 1


class Contestant(NamedTuple):
    """A model or anybody's labels: its name, and what it says of a trial."""

    name: str
    score: Callable[[Trial], Scored]


Watcher = Callable[[float], None]
"""Hears how many more seconds of audio are scored."""


def hold(
    trials: Iterable[Trial], contestants: Sequence[Contestant], watcher: Watcher
) -> tuple[dict[str, Any], Worst]:
    """Let one or two contestants score the trials; one trial at a time is in memory.

    Returns:
        The report, which is what `judge` returns of the first, with ``schema``, ``worst`` and,
        for two contestants, ``other`` (what `judge` returns of the second) and ``comparison``;
        and the first's worst windows with their audio.

    Raises:
        DataError: If there are no trials, or nothing in them can be judged.
    """
    said: list[list[Scored]] = [[] for _ in contestants]
    worst = Worst()
    for trial in trials:
        answers = [contestant.score(trial) for contestant in contestants]
        for kept, answer in zip(said, answers, strict=True):
            kept.append(answer)
        worst.show(trial, answers[0])
        watcher(trial.duration_s)
    if not said[0]:
        raise DataError("None of the recordings can be judged; give recordings that are audible.")
    names = [contestant.name for contestant in contestants]
    report = {"schema": SCHEMA, **judge(said[0], name=names[0]), "worst": worst.listed()}
    if len(contestants) > 1:
        report["other"] = judge(said[1], name=names[1])
        report["comparison"] = compare(said[0], said[1])
    return report, worst
