"""The laws of final labels: what they cover, what they say, and that they stay so."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_laws import RATE, block, events_of, labels_of, mishaps, pipeline, programmes

from rtclassify.config import LabelSettings
from rtclassify.decoding import Decoder
from rtclassify.events import StateChange
from rtclassify.overlap import Agreed, Overlap
from rtclassify.pipeline import Pipeline
from rtclassify.segments import SILENCES
from rtclassify.stream import AudioBlock, Item, Samples, Window
from rtclassify.testing import EnvelopeClassifier

ONE = np.zeros(1, int)


class Moody(EnvelopeClassifier):
    """Says something else of a cell in every window that reaches over it."""

    def scores(self, windows: Sequence[Window]) -> Samples:
        shape = (self.window // self.cell, len(self.labels))
        moods = [np.random.default_rng(window.start).random(shape) for window in windows]
        return np.stack(moods).astype(np.float32)


@st.composite
def moods(draw: st.DrawFn) -> tuple[Moody, int]:
    """A classifier with any grid, and how many hops a final label waits."""
    cell, cells_in_hop, hops = draw(st.integers(1, 5)), draw(st.integers(1, 4)), st.integers(1, 6)
    hop = cell * cells_in_hop
    window = hop * draw(hops) + draw(st.integers(0, hop - 1))
    lag = draw(st.integers(0, window // hop - 1))
    return Moody(rate=RATE, window=window, hop=hop, cell=cell), lag


def classified(items: Sequence[Item], *, window: int, hop: int) -> list[list[tuple[int, int]]]:
    """Return the hops of the windows that fit, stretch by stretch, by the definition."""
    heard = {
        at for item in items if isinstance(item, AudioBlock) for at in range(item.start, item.end)
    }
    end = 1 + max(heard, default=-1)
    starts = [s for s in range(0, end - window + 1, hop) if heard.issuperset(range(s, s + window))]
    stretches: list[list[tuple[int, int]]] = []
    for start in starts:
        hops = [(at - hop, at) for at in range(start + window, start + hop - 1, -hop)][::-1]
        follows = start - hop in starts
        if follows:
            stretches[-1].append(hops[-1])
        else:
            stretches.append(hops)
    return stretches


@settings(deadline=None)
@given(data=st.data(), audio=programmes(), mood=moods())
def test_final_labels_partition_what_was_classified(
    data: st.DataObject, audio: Samples, mood: tuple[Moody, int]
) -> None:
    """Once for each hop of each window, in order; provisional ones at each window's end."""
    classifier, lag = mood
    items = data.draw(mishaps(audio))
    core = Pipeline(classifier, ["a"], LabelSettings(final_after_s=lag * classifier.hop / RATE))
    events = [event for item in items for event in core.push([item])] + core.finish()

    finals = [(label.start, label.end) for label in labels_of(events, final=True)]
    stretches = classified(items, window=classifier.window, hop=classifier.hop)
    assert finals == [hop for stretch in stretches for hop in stretch]
    first = classifier.window // classifier.hop - 1
    provisional = {label.end: label for label in labels_of(events, final=False)}
    assert sorted(provisional) == [end for stretch in stretches for _, end in stretch[first:]]
    for label in labels_of(events, final=True):
        if label.end in provisional:
            before = provisional[label.end]
            assert (before.start, before.level, before.captured) == (
                label.start, label.level, label.captured,
            )  # fmt: skip


@settings(deadline=None)
@given(data=st.data(), audio=programmes(), mood=moods())
def test_before_it_is_decoded_it_is_the_weighted_mean_of_the_windows_until_its_lag(
    data: st.DataObject, audio: Samples, mood: tuple[Moody, int]
) -> None:
    """Sample by sample instead of cell by cell, and a window as its definition has it."""
    classifier, lag = mood
    window, hop, cell = classifier.window, classifier.hop, classifier.cell
    items = data.draw(mishaps(audio, capture_lost=False))
    core = Pipeline(classifier, ["a"], LabelSettings(final_after_s=lag * hop / RATE))
    undecided = lambda _self, _which, answers, final: answers[:, :, :final]  # noqa: E731
    with patch.object(Decoder, "decide", undecided):
        finals = labels_of(core.push(items) + core.finish(), final=True)
    for stretch in classified(items, window=window, hop=hop):
        ends = [end for _, end in stretch[window // hop - 1 :]]
        for start, end in stretch:
            label = next(label for label in finals if label.start == start)
            means = []
            for at in range(start, end):
                said, weights = [], []
                for last in ends:
                    from_end = (last - 1 - at) // cell
                    if last <= max(end + lag * hop, ends[0]) and 0 <= from_end < window // cell:
                        (scores,) = classifier.scores([Window("a", last - window, audio[:0])])
                        said.append(scores[::-1][from_end].astype(float))
                        weights.append(1 + min(from_end, window // cell - 1 - from_end))
                means.append(np.average(said, axis=0, weights=weights))
            np.testing.assert_allclose([*label.probs.values()], np.mean(means, axis=0), atol=1e-9)


@settings(deadline=None)
@given(data=st.data(), audio=programmes(), mood=moods())
def test_a_final_label_is_decoded_from_the_windows_until_its_lag(
    data: st.DataObject, audio: Samples, mood: tuple[Moody, int]
) -> None:
    """Stretch by stretch, whatever was pushed together, lost or missing in between."""
    classifier, lag = mood
    window, hop, cell = classifier.window, classifier.hop, classifier.cell
    items = data.draw(mishaps(audio, capture_lost=False))
    core = Pipeline(classifier, ["a"], LabelSettings(final_after_s=lag * hop / RATE))
    finals = labels_of(core.push(items) + core.finish(), final=True)
    expected: list[list[float]] = []
    for stretch in classified(items, window=window, hop=hop):
        overlap = Overlap(
            cells=window // cell, hop=hop // cell, lag=lag, labels=len(classifier.labels)
        )
        decoder = Decoder(tails_s=classifier.tails_s, cell_s=cell / RATE)
        agreed: list[Agreed] = []
        for _, end in stretch[window // hop - 1 :]:
            scores = classifier.scores([Window("a", end - window, audio[:0])])
            agreed += overlap.add(ONE, scores[np.newaxis])
        for one in (*agreed, overlap.flush()):
            ((cells,),) = decoder.decide(ONE, one.answers, final=one.final)
            expected += cells.reshape(-1, hop // cell, 2).mean(axis=1).tolist()
    np.testing.assert_allclose(
        np.reshape([[*label.probs.values()] for label in finals], (-1, 2)),
        np.reshape(expected, (-1, 2)),
        atol=1e-9,
    )


@settings(deadline=None)
@given(data=st.data(), audio=programmes())
def test_what_is_final_stays_so_however_it_ends(data: st.DataObject, audio: Samples) -> None:
    """More audio adds to the final labels that were out and changes none; nothing comes twice."""
    stop = data.draw(st.integers(0, len(audio)))
    stopped, whole = pipeline(), pipeline()
    early = labels_of(stopped.push([block(audio, 0, stop)]), final=True)
    at_the_end = stopped.finish()

    finals = labels_of(whole.push([block(audio, 0, len(audio))]) + whole.finish(), final=True)

    assert early == finals[: len(early)]
    spans = [(label.start, label.end) for label in early + labels_of(at_the_end, final=True)]
    assert spans == [(label.start, label.end) for label in finals[: len(spans)]]
    assert stopped.finish() == []


@settings(deadline=None)
@given(audio=programmes())
def test_a_final_label_says_silence_where_the_channel_was_silent(audio: Samples) -> None:
    """States are dated back to where a silence began, and final labels know it by then."""
    events = events_of([block(audio, 0, len(audio))], together=True, final_after_s=0.4)

    for label in labels_of(events, final=True):
        changes = [e for e in events if isinstance(e, StateChange) and e.start <= label.start]
        state = changes[-1].state
        silent = state != "programme"
        assert (label.label == state) if silent else (label.label not in SILENCES)
