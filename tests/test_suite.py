"""What a model is put through: every source in every condition, no more than asked, repeatable."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from rtclassify.corpus.decode import Stored
from rtclassify.evaluation import suite
from rtclassify.evaluation.conditions import CONDITIONS
from rtclassify.evaluation.trial import LABELS, UNHEARD, Part, Trial, frames_in

RATE = 16_000
TICK = 1_600
SPOKEN, PLAYED, NEITHER = (1, 0), (0, 1), (0, 0)
ASKED = [name for name in CONDITIONS if name not in {"mp3 32k", "opus 16k"}]
"""Codecs are tested with the conditions, and would only take time here."""


def noise(seconds: float, seed: int = 0) -> Stored:
    level = np.random.default_rng(seed).normal(0, 2_000, round(seconds * RATE))
    return np.round(level).astype(np.int16)


def recording(
    source: str, answers: tuple[int, int], seconds: float, audio: Stored | None = None
) -> Trial:
    audio = noise(seconds, seed=len(source)) if audio is None else audio
    truth = np.tile(np.array(answers, np.float32), (frames_in(len(audio), RATE), 1))
    parts = [Part(Path(source), 0, len(truth))]
    return Trial(f"{source}.wav", source, "clean", audio, RATE, truth, parts)


RECORDINGS = [
    recording("talk", SPOKEN, 100.0),
    recording("game", SPOKEN, 31.0),
    recording("game", PLAYED, 300.0),
    recording("band", PLAYED, 30.0),
    recording("choir-singing", PLAYED, 35.0),
    recording("street", NEITHER, 33.0),
]


@pytest.fixture(scope="module")
def drawn() -> list[Trial]:
    return list(suite.trials(RECORDINGS, seed=1, minutes=1.0, programmes=1, conditions=ASKED))


def minutes(trials: list[Trial]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = defaultdict(float)
    for trial in trials:
        found[trial.condition, trial.source] += trial.duration_s / 60
    return found


def test_no_source_is_left_out_of_any_condition(drawn: list[Trial]) -> None:
    sources = ["talk", "game (speech)", "game (music)", "band", "choir-singing", "street"]

    found = minutes(drawn)

    for condition in set(ASKED) - {"clean"}:
        assert {s for c, s in found if c == condition} == set(sources)
    assert {s for c, s in found if c == "clean"} == set(sources[:4])
    assert {s for c, s in found if c == "singing"} == {"choir-singing"}
    assert {s for c, s in found if c == "noise"} == {"street"}


def test_no_source_has_more_than_its_minutes(drawn: list[Trial]) -> None:
    found = minutes(drawn)

    assert found["clean", "game (music)"] == pytest.approx(1.0)
    assert found["clean", "band"] == pytest.approx(0.5)
    assert all(length <= 1.25 for (name, _), length in found.items() if name != "programme")


def test_stretches_come_from_all_over_a_recording(drawn: list[Trial]) -> None:
    """Two of five minutes: from the middle of the first half, and of the second."""
    starts = [t.parts[0].start_s for t in drawn if t.source == "game (music)"]

    assert set(starts) == {60.0, 210.0}


def test_voices_are_heard_over_music_at_every_level(drawn: list[Trial]) -> None:
    found = minutes(drawn)

    for above in ("+15", "+10", "+5", "+0", "-5"):
        condition = f"speech over music {above} dB"
        assert {s for c, s in found if c == condition} == {"talk", "game (speech)"}
        truth = np.concatenate([t.truth for t in drawn if t.condition == condition])
        assert np.mean(truth == 1) > 0.95
    sung = next(t for t in drawn if t.condition == "singing over music +5 dB")
    assert set(sung.truth[:, LABELS.index("speech")]) == {0.0}


def test_truth_has_a_row_for_every_frame(drawn: list[Trial]) -> None:
    assert all(len(t.truth) == frames_in(len(t.audio), RATE) for t in drawn)
    assert any(t.condition == "programme" for t in drawn)


def test_conditions_change_the_audio_and_not_the_truth(drawn: list[Trial]) -> None:
    plain, *others = [t for t in drawn if t.source == "band" and "over" not in t.condition]

    for other in others:
        assert len(other.audio) == len(plain.audio)
        assert not np.array_equal(other.audio, plain.audio)
        assert np.array_equal(other.truth, plain.truth)


def test_the_same_seed_draws_the_same(drawn: list[Trial]) -> None:
    again = suite.trials(RECORDINGS, seed=1, minutes=1.0, programmes=1, conditions=ASKED)

    for one, other in zip(drawn, again, strict=True):
        assert one.condition == other.condition
        assert np.array_equal(one.audio, other.audio)


def test_what_a_recording_sounds_like_does_not_depend_on_the_others(drawn: list[Trial]) -> None:
    alone = suite.trials(
        RECORDINGS[3:4], seed=1, minutes=1.0, programmes=0, conditions=["room", "AM"]
    )

    for trial in alone:
        same = next(t for t in drawn if (t.source, t.condition) == ("band", trial.condition))
        assert np.array_equal(same.audio, trial.audio)


def test_where_a_speaker_pauses_is_not_judged() -> None:
    audio = noise(12.0)
    audio[3 * RATE : 5 * RATE] //= 100

    (trial,) = suite.trials(
        [recording("talk", SPOKEN, 12.0, audio)],
        seed=0,
        minutes=1.0,
        programmes=0,
        conditions=["clean"],
    )

    assert np.flatnonzero(trial.truth[:, 0] == UNHEARD).tolist() == list(range(30, 50))
    assert (trial.truth[:, 1] == 0).all()


def test_what_is_left_of_a_recording_stays_with_the_stretch_before_it() -> None:
    drawn = suite.trials(
        [recording("talk", SPOKEN, 65.0)],
        seed=0,
        minutes=5.0,
        programmes=0,
        conditions=["clean"],
    )

    assert [trial.duration_s for trial in drawn] == [30.0, 35.0]
