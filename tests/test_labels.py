"""Scores and levels become the labels, segments and states that an engineer would expect."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.labels import DITHERED_ZERO, measure
from rtclassify.pipeline import Pipeline
from rtclassify.segments import name_of
from rtclassify.stream import (
    AudioBlock,
    CaptureLost,
    Event,
    Gap,
    Item,
    Label,
    Samples,
    Segment,
    StateChange,
)
from rtclassify.testing import EnvelopeClassifier

RATE = 100
SPEECH, MUSIC, BOTH, OTHER = 0.1, -0.8, 0.8, -0.1
DITHER = DITHERED_ZERO / 2
ROOM = 10 ** (-62 / 20)


def audio(*scenes: tuple[float, float]) -> Samples:
    """Join scenes of (value, seconds); what a value means is in `EnvelopeClassifier`."""
    return np.concatenate([np.full(round(s * RATE), v) for v, s in scenes]).astype(np.float32)


def events(*items: Item, settings: LabelSettings | None = None) -> list[Event]:
    classifier = EnvelopeClassifier(rate=RATE, window=5 * RATE, hop=RATE // 2)
    core = Pipeline(classifier, ["a"], settings or LabelSettings())
    return core.push(items) + core.finish()


def heard(*scenes: tuple[float, float], settings: LabelSettings | None = None) -> list[Event]:
    return events(AudioBlock("a", 0, audio(*scenes)), settings=settings)


def segments(said: list[Event]) -> list[tuple[str, float, float]]:
    return [(e.label, e.start / RATE, e.end / RATE)
            for e in said if isinstance(e, Segment) and e.end is not None]  # fmt: skip


def states(said: list[Event]) -> list[tuple[str, float]]:
    return [(e.state, e.start / RATE) for e in said if isinstance(e, StateChange)]


@pytest.mark.parametrize(
    ("value", "label"),
    [(SPEECH, "speech"), (MUSIC, "music"), (BOTH, "speech+music"), (OTHER, "other")],
)
def test_the_two_answers_are_independent(value: float, label: str) -> None:
    labels = [e for e in heard((value, 6.0)) if isinstance(e, Label)]

    assert [(e.label, e.start, e.end) for e in labels] == [
        (label, 0, 500), (label, 50, 550), (label, 100, 600),
    ]  # fmt: skip


def test_cuts_are_dated_to_where_they_were() -> None:
    """Within half a hop, and neither early nor late on the whole."""
    cuts = [20.0 + tenth / 10 for tenth in range(10)]
    errors = []
    for cut in cuts:
        first, second = segments(heard((SPEECH, cut), (MUSIC, 20.0)))
        assert (first[0], first[2], second[0]) == ("speech", second[1], "music")
        errors.append(second[1] - cut)

    assert max(abs(error) for error in errors) <= 0.25 + 1e-9
    assert abs(np.mean(errors)) < 0.1


def test_a_change_shorter_than_a_segment_makes_none() -> None:
    """Two seconds of something else never fill half of a five-second window."""
    assert segments(heard((SPEECH, 20.0), (MUSIC, 2.0), (SPEECH, 20.0))) == [("speech", 0.0, 42.0)]


def test_scores_that_hover_at_the_threshold_do_not_flap() -> None:
    """Half-half noise: labels may change with every hop, segments may not."""
    rng = np.random.default_rng(5)
    hover = np.where(rng.random(60 * RATE) < 0.5, SPEECH, OTHER).astype(np.float32)

    said = events(AudioBlock("a", 0, np.concatenate([audio((SPEECH, 10.0)), hover])))

    labels = [e.label for e in said if isinstance(e, Label)]
    assert sum(a != b for a, b in pairwise(labels)) > 3
    assert segments(said) == [("speech", 0.0, 70.0)]


def test_digital_silence_is_told_from_a_quiet_room() -> None:
    for value, state in [(0.0, "digital-silence"), (DITHER, "digital-silence"), (ROOM, "silence")]:
        said = heard((SPEECH, 10.0), (value, 10.0), (SPEECH, 10.0))
        assert states(said) == [("programme", 0.0), (state, 10.0), ("programme", 20.0)]


def test_silence_must_last_before_it_is_called_so() -> None:
    said = heard((SPEECH, 10.0), (0.0, 1.5), (SPEECH, 10.0))

    assert states(said) == [("programme", 0.0)]
    assert {e.label for e in said if isinstance(e, Label)} == {"speech"}


def test_a_dithered_fade_from_zeros_into_a_quiet_room_is_still_silence() -> None:
    said = heard((SPEECH, 10.0), (0.0, 5.0), (ROOM, 5.0))

    assert states(said) == [("programme", 0.0), ("digital-silence", 10.0), ("silence", 15.0)]


def test_a_recording_that_begins_with_silence_says_so_at_once() -> None:
    assert states(heard((0.0, 6.0)))[0] == ("digital-silence", 0.0)


def test_silence_has_hysteresis() -> None:
    """A level that creeps 1 dB over the threshold does not end the silence; 4 dB do."""
    settings = LabelSettings(silence_dbfs=-60.0)
    creeping, louder = 10 ** (-59 / 20), 10 ** (-56 / 20)

    said = heard((SPEECH, 10.0), (ROOM, 5.0), (creeping, 5.0), (louder, 5.0), settings=settings)

    assert states(said) == [("programme", 0.0), ("silence", 10.0), ("programme", 20.0)]


def test_silence_makes_a_segment_that_begins_where_it_began() -> None:
    said = heard((SPEECH, 20.0), (0.0, 10.0), (SPEECH, 20.0))

    assert segments(said)[:2] == [("speech", 0.0, 20.0), ("digital-silence", 20.0, 30.0)]
    assert segments(said)[-1][2] == 50.0


def test_a_gap_closes_the_segment_and_is_counted() -> None:
    before, after = audio((SPEECH, 10.0)), audio((SPEECH, 10.0))

    said = events(
        AudioBlock("a", 0, before), Gap("a", 1000, 1300, "overflow"), AudioBlock("a", 1300, after)
    )

    assert segments(said) == [("speech", 0.0, 10.0), ("speech", 13.0, 23.0)]
    assert [e.lost for e in said if isinstance(e, Label)][-1] == 300
    assert not [e for e in said if isinstance(e, Label) and e.start < 1300 < e.end]


def test_a_lost_device_is_a_state_and_coming_back_is_one_too() -> None:
    said = events(
        AudioBlock("a", 0, audio((SPEECH, 10.0))),
        CaptureLost("a", "unplugged"),
        Gap("a", 1000, 3000, "unplugged"),
        AudioBlock("a", 3000, audio((SPEECH, 10.0))),
    )

    assert states(said) == [("programme", 0.0), ("no-capture", 10.0), ("programme", 30.0)]
    assert [e.reason for e in said if isinstance(e, StateChange)] == ["", "unplugged", ""]
    assert segments(said) == [("speech", 0.0, 10.0), ("speech", 30.0, 40.0)]


def test_a_hole_that_nobody_announced_is_a_gap_as_well() -> None:
    said = events(
        AudioBlock("a", 0, audio((SPEECH, 10.0))), AudioBlock("a", 1200, audio((SPEECH, 10.0)))
    )

    assert segments(said) == [("speech", 0.0, 10.0), ("speech", 12.0, 22.0)]
    assert [e.lost for e in said if isinstance(e, Label)][-1] == 200


def test_labels_are_dated_by_the_line_of_their_block() -> None:
    line = Line(0.0, 1_000.0, RATE, 0.003)

    said = events(AudioBlock("a", 0, audio((SPEECH, 6.0)), line))

    labels = [e for e in said if isinstance(e, Label)]
    assert [e.captured.clock_s for e in labels if e.captured] == [1005.0, 1005.5, 1006.0]
    assert {e.captured.error_s for e in labels if e.captured} == {0.003}


def test_levels_are_of_the_newest_hop() -> None:
    labels = [e for e in heard((0.5, 5.0), (0.05, 0.5), (0.0, 0.5)) if isinstance(e, Label)]

    assert labels[0].level.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert labels[1].level.peak_dbfs == pytest.approx(-26.02, abs=0.01)
    assert labels[2].level.rms_dbfs is None


def test_a_measure_is_the_textbook_one() -> None:
    sine = np.sin(2 * np.pi * np.arange(1000) / 50).astype(np.float32)

    hop = measure(sine, start=7)

    assert (hop.start, hop.end, hop.zero) == (7, 1007, False)
    assert hop.level.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert hop.level.peak_dbfs == pytest.approx(0.0, abs=0.02)


def test_no_answer_is_a_label_too() -> None:
    assert name_of(["speech", "music"]) == "speech+music"
    assert name_of([]) == "other"
