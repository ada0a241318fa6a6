"""What is done to recordings before anybody hears them: the conditions that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rtclassify.errors import UsageError
from rtclassify.evaluation import suite
from rtclassify.evaluation.conditions import CONDITIONS
from rtclassify.evaluation.trial import Trial

ALL = "all"
SEED = 0
PROGRAMMES = 5


def named(wanted: str) -> list[str]:
    """Return the conditions that a list between commas names, each once.

    Raises:
        UsageError: If there is no such condition.
    """
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in CONDITIONS and names != [ALL]:
            raise UsageError(
                f"There is no condition {name!r}; use {', '.join(CONDITIONS)}, or {ALL}."
            )
    return list(dict.fromkeys(names))


def staged(recordings: Sequence[Trial], wanted: Sequence[str], minutes: float) -> Iterator[Trial]:
    """Yield what is to be heard.

    Args:
        recordings: Untouched ones.
        wanted: Names of conditions, each for all of every recording; or `ALL` for the whole
            suite, which takes `minutes` of every source and adds mixtures and programmes.
        minutes: Of each source and kind, and of each condition, in the suite.
    """
    if ALL in wanted:
        yield from suite.trials(recordings, seed=SEED, minutes=minutes, programmes=PROGRAMMES)
        return
    for trial in recordings:
        for name in wanted:
            yield suite.under(trial, suite.kind_of(trial), name, SEED)
