"""Everything that is known about a model once its answers are in, as plain values for JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rtclassify.evaluation import bootstrap, events
from rtclassify.evaluation.measures import auc, reliability
from rtclassify.evaluation.tally import Values, figures, tally
from rtclassify.evaluation.trial import LABELS, Scored
from rtclassify.evaluation.truth import KINDS, THRESHOLD, Counts, Mask, changes, judged, kinds
from rtclassify.stream import Samples

HEADLINES = ("balanced_error", "frame_error", "window_error", "event_f1")
"""Figures with an interval."""


def judge(scored: Sequence[Scored], *, name: str) -> dict[str, Any]:
    """Judge the answers of one model.

    Args:
        scored: All that it said.
        name: The model, or where the labels come from.

    Returns:
        ``model``; ``all``, and by name ``by_condition``, ``by_source`` and of each source
        ``by_source_and_condition``: figures as `tally.figures` names them, with ``auc_speech``,
        ``auc_music``, ``boundary_s`` (median), ``boundaries``, ``hours``, ``recordings`` and
        ``intervals`` of the `HEADLINES`; ``calibration`` by label; ``confusion``;
        ``cpu_s_per_hour``. What could not be measured is None.
    """
    by_source = _grouped(scored, [one.source for one in scored])
    return {
        "model": name,
        "all": _group(scored),
        "by_condition": _each(_grouped(scored, [one.condition for one in scored])),
        "by_source": _each(by_source),
        "by_source_and_condition": {
            source: _each(_grouped(mine, [one.condition for one in mine]))
            for source, mine in by_source.items()
        },
        "calibration": _calibration(scored),
        "confusion": {
            "kinds": KINDS,
            "rows_are_truth": _confusion(scored).tolist(),
            "by_source": {name: _confusion(mine).tolist() for name, mine in by_source.items()},
        },
        "cpu_s_per_hour": _cost(scored),
    }


def compare(one: Sequence[Scored], other: Sequence[Scored]) -> dict[str, Any]:
    """Set two models side by side, both judged on the same trials in the same order.

    Returns:
        By condition, ``all`` first, and then by figure of `HEADLINES`: ``one``, ``other``, and
        ``difference`` (other less one), each a ``value`` and its ``interval``.
    """
    conditions = [scored.condition for scored in one]
    sides = zip(
        _grouped(one, conditions).items(), _grouped(other, conditions).values(), strict=True
    )
    return {
        "all": _differences(one, other),
        **{name: _differences(mine, theirs) for (name, mine), theirs in sides},
    }


def _differences(one: Sequence[Scored], other: Sequence[Scored]) -> dict[str, Any]:
    rows = [np.stack([tally(scored) for scored in side]) for side in (one, other)]
    mine, theirs = (figures(side.sum(axis=0)) for side in rows)
    names = [scored.name for scored in one]
    my_draws, their_draws = (bootstrap.drawn(names, side) for side in rows)
    return {
        name: {
            "one": _valued(mine[name], my_draws[name]),
            "other": _valued(theirs[name], their_draws[name]),
            "difference": _valued(theirs[name] - mine[name], their_draws[name] - my_draws[name]),
        }
        for name in HEADLINES
    }


def _valued(value: Values, draws: Values) -> dict[str, Any]:
    return {"value": _plain(value), "interval": bootstrap.interval(draws)}


def _grouped(scored: Sequence[Scored], names: Iterable[str]) -> dict[str, list[Scored]]:
    groups: dict[str, list[Scored]] = defaultdict(list)
    for one, name in zip(scored, names, strict=True):
        groups[name].append(one)
    return dict(groups)


def _each(groups: Mapping[str, Sequence[Scored]]) -> dict[str, dict[str, Any]]:
    return {name: _group(mine) for name, mine in groups.items()}


def _group(scored: Sequence[Scored]) -> dict[str, Any]:
    rows = np.stack([tally(one) for one in scored])
    draws = bootstrap.drawn([one.name for one in scored], rows)
    errors = [
        error
        for one in scored
        if changes(one.truth)
        for error in events.boundary_errors(one.truth, one.scores)
    ]
    return {
        **{name: _plain(value) for name, value in figures(rows.sum(axis=0)).items()},
        **{f"auc_{label}": auc(*_answers(scored, index)) for index, label in enumerate(LABELS)},
        "boundary_s": float(np.median(errors)) if errors else None,
        "boundaries": len(errors),
        "hours": sum(one.duration_s for one in scored) / 3600,
        "recordings": len({one.name for one in scored}),
        "intervals": {name: bootstrap.interval(draws[name]) for name in HEADLINES},
    }


def _answers(scored: Sequence[Scored], label: int) -> tuple[Mask, Samples]:
    """Return a label's judged truth and scores, each of shape (n,)."""
    masks = [judged(one.truth)[:, label] for one in scored]
    truth = [one.truth[mask, label] == 1 for one, mask in zip(scored, masks, strict=True)]
    scores = [one.scores[mask, label] for one, mask in zip(scored, masks, strict=True)]
    return np.concatenate(truth), np.concatenate(scores)


def _calibration(scored: Sequence[Scored]) -> dict[str, Mapping[str, Any]]:
    return {
        label: reliability(*_answers(scored, index))._asdict() for index, label in enumerate(LABELS)
    }


def _confusion(scored: Sequence[Scored]) -> Counts:
    """Count frames by true kind (rows) and answered kind (columns)."""
    counts = np.zeros((len(KINDS), len(KINDS)), np.int64)
    for one in scored:
        whole = np.all(judged(one.truth), axis=1)
        truth, answers = one.truth[whole] == 1, one.scores[whole] >= THRESHOLD
        np.add.at(counts, (kinds(truth), kinds(answers)), 1)
    return counts


def _cost(scored: Sequence[Scored]) -> float | None:
    """Return processor seconds for an hour of audio; None for labels that somebody else made."""
    spent_s = sum(one.cpu_s for one in scored)
    return spent_s / sum(one.duration_s for one in scored) * 3600 if spent_s else None


def _plain(value: Values) -> float | None:
    return None if np.isnan(value) else float(value)
