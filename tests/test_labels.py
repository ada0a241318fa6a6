"""Scores and levels become the labels, segments and states that an engineer would expect."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.events import Event, Label, Segment, Stamp, StateChange
from rtclassify.labels import DITHERED_ZERO, Labeller, measure
from rtclassify.pipeline import Pipeline
from rtclassify.segments import name_of
from rtclassify.stream import AudioBlock, CaptureLost, Framing, Gap, Item, Samples
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


def labels(said: list[Event], *, final: bool) -> list[Label]:
    return [e for e in said if isinstance(e, Label) and e.final is final]


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
    said = heard((value, 6.0))

    assert [(e.label, e.start, e.end) for e in labels(said, final=False)] == [
        (label, 450, 500), (label, 500, 550), (label, 550, 600),
    ]  # fmt: skip
    assert [(e.label, e.start, e.end) for e in labels(said, final=True)] == [
        (label, start, start + 50) for start in range(0, 600, 50)
    ]


def test_a_final_label_comes_when_its_lag_was_heard_and_the_rest_at_the_end() -> None:
    settings = LabelSettings(final_after_s=1.0)
    core = Pipeline(EnvelopeClassifier(rate=RATE), ["a"], settings)

    def ends(*items: Item) -> list[float]:
        return [e.end / RATE for e in labels(core.push(items), final=True)]

    assert ends(AudioBlock("a", 0, audio((SPEECH, 4.9)))) == []
    assert ends(AudioBlock("a", 490, audio((SPEECH, 0.1)))) == [n / 2 for n in range(1, 9)]
    assert ends(AudioBlock("a", 500, audio((SPEECH, 0.5)))) == [4.5]
    assert [e.end / RATE for e in labels(core.finish(), final=True)] == [5.0, 5.5]


def test_cuts_are_dated_to_where_they_were() -> None:
    """Within a cell of a tenth of a second, and hardly early or late on the whole."""
    cuts = [20.0 + hundredth / 100 for hundredth in range(50)]
    errors = []
    for cut in cuts:
        first, second = segments(heard((SPEECH, cut), (MUSIC, 20.0)))
        assert (first[0], first[2], second[0]) == ("speech", second[1], "music")
        errors.append(second[1] - cut)

    assert max(abs(error) for error in errors) < 0.1
    assert abs(np.mean(errors)) < 0.02


def test_a_change_shorter_than_a_segment_makes_none() -> None:
    short, long = (
        segments(heard((SPEECH, 20.0), (BOTH, seconds), (MUSIC, 21.5 - seconds)))
        for seconds in (1.4, 1.5)
    )

    assert [label for label, _, _ in short] == ["speech", "music"]
    assert long == [("speech", 0.0, 20.0), ("speech+music", 20.0, 21.5), ("music", 21.5, 41.5)]


def test_what_comes_between_two_of_the_same_must_last_longer_unless_it_is_silence() -> None:
    short, long = (
        segments(heard((SPEECH, 20.0), (MUSIC, seconds), (SPEECH, 24.0 - seconds)))
        for seconds in (3.9, 4.0)
    )
    silent = segments(heard((SPEECH, 20.0), (0.0, 3.0), (SPEECH, 20.0)))

    assert short == [("speech", 0.0, 44.0)]
    assert long == [("speech", 0.0, 20.0), ("music", 20.0, 24.0), ("speech", 24.0, 44.0)]
    assert [label for label, _, _ in silent] == ["speech", "digital-silence", "speech"]


def test_what_was_long_enough_when_capture_ended_is_a_segment() -> None:
    """Nobody can know what would have come after it."""
    said = segments(heard((SPEECH, 20.0), (MUSIC, 2.0)))

    assert said == [("speech", 0.0, 20.0), ("music", 20.0, 22.0)]


def test_what_precedes_the_first_segment_belongs_to_it() -> None:
    said = segments(heard((OTHER, 0.3), (MUSIC, 0.3), (SPEECH, 10.0), (MUSIC, 0.4)))

    assert said == [("speech", 0.0, 11.0)]


def test_a_stretch_too_short_for_a_segment_is_one_all_the_same() -> None:
    """Between two gaps, what was classified is covered."""
    settings = LabelSettings(min_segment_s=60.0)

    assert segments(heard((SPEECH, 6.0), settings=settings)) == [("speech", 0.0, 6.0)]


def test_scores_that_hover_at_the_threshold_do_not_flap() -> None:
    """Half-half noise: labels may change with every hop, segments may not."""
    rng = np.random.default_rng(5)
    hover = np.where(rng.random(60 * RATE) < 0.5, SPEECH, OTHER).astype(np.float32)

    said = events(AudioBlock("a", 0, np.concatenate([audio((SPEECH, 10.0)), hover])))

    names = [e.label for e in labels(said, final=True)]
    assert sum(a != b for a, b in pairwise(names)) > 3
    assert segments(said) == [("speech", 0.0, 70.0)]


def test_an_answer_that_wavers_about_the_threshold_changes_no_segment() -> None:
    """Between what is sure: six of ten samples for three seconds, then four of ten, and so on."""
    mostly, hardly = (
        np.tile([SPEECH] * 6 + [OTHER] * 4, 30),
        np.tile([SPEECH] * 4 + [OTHER] * 6, 30),
    )
    wavering = np.tile(np.concatenate([mostly, hardly]), 4).astype(np.float32)
    speech, other = audio((SPEECH, 6.0)), audio((OTHER, 6.0))

    for before, label in [(speech, "speech"), (other, "other")]:
        said = events(
            AudioBlock("a", 0, np.concatenate([before, wavering, before])),
            settings=LabelSettings(doubt=0.15),
        )
        assert segments(said) == [(label, 0.0, 36.0)]
        assert {e.label for e in labels(said, final=True)} == {label, "unsure"}


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_a_final_answer_is_yes_from_the_threshold_on(threshold: float) -> None:
    """Hops of one cell, each speech for another share of it; what is published decides."""
    classifier = EnvelopeClassifier(rate=RATE, window=5 * RATE, hop=RATE // 2, cell=RATE // 2)
    core = Pipeline(classifier, ["a"], LabelSettings(threshold=threshold, doubt=0.0))
    spoken = np.random.default_rng(0).random((60, RATE // 2)) < np.linspace(0, 1, 60)[:, np.newaxis]
    said = core.push([AudioBlock("a", 0, np.where(spoken, SPEECH, OTHER).ravel().astype("f4"))])

    finals = labels(said + core.finish(), final=True)

    assert {e.label for e in finals} == {"speech", "other"}
    for e in finals:
        assert (e.label == "speech") == (e.probs["speech"] >= threshold)


@pytest.mark.parametrize(
    ("speech", "music", "label"),
    [
        (0.61, 0.0, "speech"), (0.59, 0.0, "unsure"), (0.41, 0.41, "unsure"), (0.39, 0.0, "other"),
        (0.95, 0.45, "speech"), (0.95, 0.55, "speech+music"),
    ],
)  # fmt: skip
def test_a_label_is_unsure_where_not_even_its_likeliest_answer_is_earned(
    speech: float, music: float, label: str
) -> None:
    framing = Framing(rate=RATE, window=RATE, hop=RATE, cell=RATE)
    labeller = Labeller("a", ("speech", "music"), framing, LabelSettings())
    labeller.heard(measure(audio((SPEECH, 1.0)), start=0), line=None)

    said = labeller.scored([speech, music], [])

    assert {e.label for e in said if isinstance(e, Label)} == {label}


def test_digital_silence_is_told_from_a_quiet_room() -> None:
    for value, state in [(0.0, "digital-silence"), (DITHER, "digital-silence"), (ROOM, "silence")]:
        said = heard((SPEECH, 10.0), (value, 10.0), (SPEECH, 10.0))
        assert states(said) == [("programme", 0.0), (state, 10.0), ("programme", 20.0)]


def test_silence_must_last_before_it_is_called_so() -> None:
    said = heard((SPEECH, 10.0), (0.0, 1.5), (SPEECH, 10.0))

    assert states(said) == [("programme", 0.0)]
    assert {e.label for e in said if isinstance(e, Label)} == {"speech", "other"}


def test_final_labels_know_a_silence_before_it_was_called_so() -> None:
    said = heard((SPEECH, 10.0), (0.0, 5.0))

    begins = [
        min(e.start for e in labels(said, final=final) if e.label == "digital-silence") / RATE
        for final in (False, True)
    ]
    assert begins == [11.5, 10.0]


def test_a_silence_that_takes_longer_to_be_sure_of_than_labels_wait_is_final_late() -> None:
    said = heard((SPEECH, 10.0), (0.0, 5.0), settings=LabelSettings(final_after_s=0.5))

    silent = [e.start / RATE for e in labels(said, final=True) if e.label == "digital-silence"]
    assert min(silent) == 11.0


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

    assert segments(said) == [
        ("speech", 0.0, 20.0), ("digital-silence", 20.0, 30.0), ("speech", 30.0, 50.0),
    ]  # fmt: skip


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


def test_a_device_that_comes_back_without_a_loss_goes_on_where_it_was() -> None:
    said = events(
        AudioBlock("a", 0, audio((SPEECH, 10.0))),
        CaptureLost("a", "stalled"),
        AudioBlock("a", 1000, audio((SPEECH, 5.0))),
    )

    assert [e.start for e in labels(said, final=True)] == [*range(0, 1500, 50)]
    assert segments(said) == [("speech", 0.0, 10.0), ("speech", 10.0, 15.0)]


def test_a_hole_that_nobody_announced_is_a_gap_as_well() -> None:
    said = events(
        AudioBlock("a", 0, audio((SPEECH, 10.0))), AudioBlock("a", 1200, audio((SPEECH, 10.0)))
    )

    assert segments(said) == [("speech", 0.0, 10.0), ("speech", 12.0, 22.0)]
    assert [e.lost for e in said if isinstance(e, Label)][-1] == 200


def test_labels_are_dated_by_the_line_of_their_block() -> None:
    line = Line(0.0, 1_000.0, RATE, 0.003)

    said = events(AudioBlock("a", 0, audio((SPEECH, 6.0)), line))

    stamps = {final: [e.captured for e in labels(said, final=final)] for final in (False, True)}
    assert [stamp.clock_s for stamp in stamps[False] if stamp] == [1005.0, 1005.5, 1006.0]
    assert [s.clock_s for s in stamps[True] if s] == [1000 + n / 2 for n in range(1, 13)]
    assert {stamp.error_s for stamp in stamps[False] + stamps[True] if stamp} == {0.003}


def test_a_segment_keeps_the_time_at_which_it_began_whatever_line_follows() -> None:
    early, late = (Line(0.0, 1_000.0, rate, 0.003, rate_error=1e-3) for rate in (RATE, 1.01 * RATE))
    said = events(
        AudioBlock("a", 0, audio((SPEECH, 10.0)), early),
        AudioBlock("a", 10 * RATE, audio((SPEECH, 90.0)), late),
    )

    opened, closed = [event for event in said if isinstance(event, Segment)]
    assert opened.begun == closed.begun == Stamp(1_000.0, 0.003)
    assert closed.ended is not None
    assert closed.ended.clock_s == pytest.approx(1_000.0 + 100.0 / 1.01)
    assert closed.ended.error_s == pytest.approx(0.003 + 1e-3 * 100.0 / 1.01)


@pytest.mark.parametrize("final", [False, True])
def test_levels_are_of_the_labelled_hop(*, final: bool) -> None:
    *_, loud, soft, nothing = labels(heard((0.5, 5.0), (0.05, 0.5), (0.0, 0.5)), final=final)

    assert loud.level.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert soft.level.peak_dbfs == pytest.approx(-26.02, abs=0.01)
    assert nothing.level.rms_dbfs is None


def test_a_measure_is_the_textbook_one() -> None:
    sine = np.sin(2 * np.pi * np.arange(1000) / 50).astype(np.float32)

    hop = measure(sine, start=7)

    assert (hop.start, hop.end, hop.zero) == (7, 1007, False)
    assert hop.level.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert hop.level.peak_dbfs == pytest.approx(0.0, abs=0.02)


def test_no_answer_is_a_label_too() -> None:
    assert name_of(["speech", "music"]) == "speech+music"
    assert name_of([]) == "other"
