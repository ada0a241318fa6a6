"""Programmes and mixes: the truth about them is what was laid where, and can be heard."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.errors import DataError
from rtclassify.evaluation.programme import Studio, over_music, programme
from rtclassify.evaluation.shelf import Recordings, Shelf, floats, labels_of
from rtclassify.evaluation.tracks import Track, loudness, mixed, track
from rtclassify.evaluation.trial import LABELS, UNHEARD
from rtclassify.stream import Samples

RATE = 16_000
TICK = 1_600
PITCH = {"speech": 1_000, "music": 2_000, "singing": 3_000, "other": 4_000}
"""Each kind is a tone of its own, so that a spectrum tells what is heard."""
SPEECH, MUSIC = LABELS.index("speech"), LABELS.index("music")


def tone(kind: str, seconds: float, level: float = 0.1) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * PITCH[kind] * time)).astype(np.float32)


def stored(audio: Samples) -> Stored:
    return (audio * FULL_SCALE).astype(np.int16)


@cache
def recordings(*kinds: str, shortest: float = 9.0) -> Recordings:
    return {
        kind: [("a", stored(tone(kind, shortest))), ("b", stored(tone(kind, 60)))] for kind in kinds
    }


def laid(kind: str, seconds: float, *, at: int = 0, level: float = 0.1) -> Track:
    return replace(track(tone(kind, seconds, level), labels_of(kind), RATE), at=at)


def power(audio: Samples, kind: str) -> Samples:
    """How loud a kind's tone is in each frame."""
    frames = audio[: len(audio) // TICK * TICK].reshape(-1, TICK)
    return np.asarray(2 * np.abs(np.fft.rfft(frames)[:, PITCH[kind] // 10]) / TICK, np.float32)


def test_truth_begins_and_ends_with_the_sound() -> None:
    audio, truth = mixed([laid("music", 3.0), laid("speech", 1.0, at=12)])

    assert len(audio) == 3 * RATE
    assert np.flatnonzero(truth[:, SPEECH] == 1).tolist() == list(range(12, 22))
    assert (truth[:, MUSIC] == 1).all()
    assert (truth != UNHEARD).all()


@pytest.mark.parametrize(("pause_s", "truth"), [(0.4, 1.0), (0.6, UNHEARD)])
def test_a_short_pause_belongs_to_the_speech_and_a_long_one_is_not_judged(
    pause_s: float, truth: float
) -> None:
    word, pause = tone("speech", 1.0), np.zeros(round(pause_s * RATE), np.float32)
    voice = track(np.concatenate([word, pause, word]), labels_of("speech"), RATE)

    _, found = mixed([voice])

    assert set(found[10 : 10 + round(pause_s * 10), SPEECH]) == {np.float32(truth)}
    assert (found[:10, SPEECH] == 1).all()
    assert (found[:, MUSIC] == 0).all()


@pytest.mark.parametrize(("below_db", "truth"), [(25, 1.0), (35, UNHEARD)])
def test_what_nobody_would_hear_under_the_rest_is_not_judged(below_db: int, truth: float) -> None:
    _, found = mixed([laid("speech", 2.0), laid("music", 2.0).louder(-below_db)])

    assert set(found[:, MUSIC]) == {np.float32(truth)}
    assert (found[:, SPEECH] == 1).all()


def test_sounds_change_places_in_the_middle_of_a_crossfade() -> None:
    before = laid("speech", 3.0).faded(out_frames=10)
    after = replace(laid("music", 3.0).faded(in_frames=10), at=20)

    audio, truth = mixed([before, after])

    assert np.flatnonzero(np.diff(truth[:, SPEECH])).tolist() == [24]
    assert np.flatnonzero(np.diff(truth[:, MUSIC])).tolist() == [24]
    assert np.argmax(power(audio, "music") > power(audio, "speech")) == 25
    assert power(audio, "speech")[29] < 0.02


@pytest.mark.parametrize("fade", [3, 4, 10])
def test_music_that_gives_way_to_music_never_stops(fade: int) -> None:
    before = laid("music", 3.0).faded(out_frames=fade)
    after = replace(laid("music", 3.0).faded(in_frames=fade), at=30 - fade)

    _, truth = mixed([before, after])

    assert (truth[:, MUSIC] == 1).all()


@pytest.mark.parametrize("above_db", [15, 10, 5, 0, -5])
def test_a_voice_is_as_far_above_the_music_as_asked(above_db: int) -> None:
    """Pauses in either do not count, whatever the levels were before."""
    pause = np.zeros(5 * RATE, np.float32)
    voice = track(np.concatenate([tone("speech", 5.0, 0.01), pause]), labels_of("speech"), RATE)

    audio, truth = mixed(over_music(voice, laid("music", 10.0, level=0.3), above_db=above_db))

    spoken, played = power(audio, "speech")[:50], power(audio, "music")
    assert 20 * np.log10(np.median(spoken) / np.median(played)) == pytest.approx(above_db, abs=0.1)
    assert (truth[:49] == 1).all()


@given(level=st.floats(0.001, 1.0), pause_s=st.integers(0, 20))
def test_loudness_is_that_of_what_is_there(level: float, pause_s: int) -> None:
    audio = np.concatenate([tone("music", 1.0, level), tone("music", pause_s, level / 100)])

    assert loudness(audio, RATE) == pytest.approx(level / np.sqrt(2), rel=1e-3)


def test_a_programme_says_of_every_frame_what_is_in_it() -> None:
    """Judged by the pitch that each kind has, up to half a second from where it comes and goes."""
    made = programme(recordings(*PITCH, shortest=50.0), RATE, seconds=200.0, seed=3)
    audio = floats(made.audio)

    present = {kind: power(audio, kind) > 0.004 for kind in PITCH}
    present["music"] |= present["singing"]
    for label, column in (("speech", SPEECH), ("music", MUSIC)):
        known = made.truth[:, column] != UNHEARD
        wrong = known & (present[label] != (made.truth[:, column] == 1))
        boundaries = np.flatnonzero(np.diff(made.truth[:, column]))
        near = np.abs(np.arange(len(wrong))[:, np.newaxis] - boundaries).min(axis=1) <= 5
        assert known.mean() > 0.9
        assert not (wrong & ~near).any()
    assert made.duration_s >= 200


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99))
def test_every_kind_and_every_mixture_comes_up(seed: int) -> None:
    made = programme(recordings(*PITCH), RATE, seconds=1.0, seed=seed)
    audio = floats(made.audio)

    assert {tuple(row) for row in made.truth.tolist()} >= {(0, 0), (0, 1), (1, 0), (1, 1)}
    for kind in PITCH:
        assert (power(audio, kind) > 0.02).any()


def test_a_programme_is_made_again_by_its_seed() -> None:
    first, again, other = (
        programme(recordings("speech", "music"), RATE, seconds=1.0, seed=seed) for seed in (1, 1, 2)
    )

    assert np.array_equal(first.audio, again.audio)
    assert np.array_equal(first.truth, again.truth)
    assert len(first.audio) != len(other.audio)


def test_kinds_that_lack_leave_out_their_scenes() -> None:
    made = programme(recordings("music"), RATE, seconds=1.0, seed=0)

    assert (made.truth[:, SPEECH] == 0).all()


def test_a_programme_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="no recording"):
        programme({}, RATE, seconds=1.0, seed=0)


def on_air(seed: int, *kinds: str) -> list[Track]:
    """Two rounds of the scenes that these kinds allow."""
    rng = np.random.default_rng(seed)
    studio = Studio(Shelf(recordings(*kinds), RATE, rng), RATE, rng)
    return studio.continued(studio.continued([]))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99))
def test_scenes_overlap_by_a_crossfade_and_part_by_a_short_silence(seed: int) -> None:
    tracks = on_air(seed, "singing", "other")

    for before, after in pairwise(tracks):
        assert -15 <= before.end - after.at <= 10


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99))
def test_presenters_begin_within_records(seed: int) -> None:
    """In both rounds: once over a bed, once over a record's end."""
    tracks = on_air(seed, "speech", "music")

    within = [
        voice
        for voice in tracks
        for record in tracks
        if {"speech", "music"} == voice.labels | record.labels
        and "speech" in voice.labels
        and record.at + 20 <= voice.at <= record.end - 20
    ]
    assert len(within) == 4


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99))
def test_a_record_is_turned_down_while_somebody_speaks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    studio = Studio(Shelf(recordings("speech", "music"), RATE, rng), RATE, rng)

    audio, truth = mixed(studio.bed())

    spoken, played = truth[:, SPEECH] == 1, power(audio, "music")
    assert played[spoken].min() < 0.5 * played[~spoken].max()
    assert not spoken[:15].any()
    assert not spoken[-15:].any()
    assert (truth[:, MUSIC] == 1).all()


@settings(deadline=None, max_examples=50)
@given(frames=st.integers(5, 600), seed=st.integers(0, 99))
def test_what_is_drawn_is_as_long_and_as_loud_as_asked(frames: int, seed: int) -> None:
    """Clips that are too short are strung together, and no join is digital silence."""
    words = [("a", stored(np.pad(tone("speech", 0.73), 9_000))) for _ in range(3)]
    shelf = Shelf({"speech": words}, RATE, np.random.default_rng(seed))

    drawn = shelf.draw("speech", frames, level_dbfs=-23.0)

    assert len(drawn.audio) == frames * TICK
    assert 20 * np.log10(loudness(drawn.audio, RATE)) == pytest.approx(-23.0, abs=0.1)
    assert drawn.sounding[:-4, SPEECH].all()
    assert (drawn.audio.reshape(frames, TICK).std(axis=1) > 0).all()
