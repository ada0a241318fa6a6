"""Windows to learn from mean what they say, and tell nothing else."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.evaluation.trial import UNHEARD
from rtclassify.frontends import frame_count
from rtclassify.frontends.log_stft import LogStft
from rtclassify.stream import Samples
from rtclassify.training import augment, synthetic
from rtclassify.training.bands import Bands
from rtclassify.training.layers import Layer, mix, quieter
from rtclassify.training.library import Library, Take
from rtclassify.training.mix import MADE, SINGING, SONG, TUNE, Mixer
from rtclassify.training.spectra import Kept, Listener, Power, of_frames, power

RATE = 16_000
FRONTEND = LogStft()
FRAMES = frame_count(FRONTEND, FRONTEND.window)
SPEECH, MUSIC, NEITHER = frozenset({"speech"}), frozenset({"music"}), frozenset[str]()
EXAMPLES = settings(max_examples=30, deadline=None)


@cache
def bands() -> Bands:
    return Bands(FRONTEND)


@cache
def listener() -> Listener:
    return Listener(FRONTEND)


def noise(seconds: float = 5.0, level: float = 0.1, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, int(seconds * RATE)).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> Kept:
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
    return listener().keep(wave.astype(np.float32))


def sound(seed: int = 0) -> Power:
    """White noise of a power of about 1 a frame."""
    return bands().white(FRAMES, np.random.default_rng(seed))


def library(**seconds: float) -> Library:
    """A library of one-second clips; every kind has two sources, every source its own pitch."""
    takes = []
    hz = 400.0
    for kind, length in seconds.items():
        for source in "ab":
            hz *= 1.4
            takes += [Take(kind, f"{kind}-{source}", tone(hz))] * int(length)
    return Library(takes, bands())


def mixer(seed: int = 0) -> Mixer:
    return Mixer(library(speech=9, music=9, other=9, made=9), FRAMES, np.random.default_rng(seed))


def test_sounds_that_are_unlike_add_in_power() -> None:
    """What training does with frames is what happens to samples, to a decibel or two."""
    one, other = noise(20.0, seed=1), noise(20.0, level=0.3, seed=2)

    mixed = power(listener().keep(one + other))
    added = power(listener().keep(one)) + power(listener().keep(other))

    error_db = 10 * np.log10(added.mean(axis=0) / mixed.mean(axis=0))
    assert np.abs(error_db).max() < 0.5


def test_what_is_kept_of_audio_does_not_depend_on_how_much_is_heard_at_once() -> None:
    audio = noise(70.0)

    whole, part = listener().keep(audio), listener().keep(audio[61 * RATE :])

    assert whole.shape == (frame_count(FRONTEND, len(audio)), FRONTEND.bands)
    start = 61 * RATE // FRONTEND.step
    np.testing.assert_allclose(whole[start : start + len(part)], part, atol=5e-3)


def test_16_bit_samples_are_scaled() -> None:
    audio = noise()

    coarse = listener().keep(np.round(audio * 32_767).astype(np.int16))

    np.testing.assert_allclose(coarse, listener().keep(audio), atol=0.1)


@pytest.mark.parametrize(
    ("labels", "target"),
    [(SPEECH, [1, 0]), (MUSIC, [0, 1]), (SPEECH | MUSIC, [1, 1]), (NEITHER, [0, 0])],
)
def test_a_window_of_one_thing_is_it_throughout(labels: frozenset[str], target: list[int]) -> None:
    assert mix([Layer(sound(), labels)]).present.tolist() == [target] * FRAMES


@EXAMPLES
@given(at=st.floats(0.02, 0.98))
def test_a_change_is_where_it_happens(at: float) -> None:
    before, after = Layer(sound(), SPEECH, end=at), Layer(sound(), MUSIC, start=at)

    present = mix([before, after]).present

    change = round(at * FRAMES)
    assert present[: change - 1].tolist() == [[1, 0]] * (change - 1)
    assert present[change + 1 :].tolist() == [[0, 1]] * (FRAMES - change - 1)


def test_a_fade_begins_and_ends_a_sound_in_its_middle() -> None:
    layers = [Layer(sound(), NEITHER), Layer(sound(1), MUSIC, 0.2, 0.8, fade_in=0.1, fade_out=0.2)]

    taught = np.flatnonzero(mix(layers).present[:, 1] == 1)

    assert taught.tolist() == [*range(round(0.25 * FRAMES), round(0.7 * FRAMES))]


def test_where_nothing_is_everything_is_absent() -> None:
    layers = [Layer(sound(), SPEECH, end=0.4), Layer(sound(1), MUSIC, start=0.6)]

    present = mix(layers).present

    assert present[:99].tolist() == [[1, 0]] * 99
    assert present[101:148].tolist() == [[0, 0]] * 47
    assert present[151:].tolist() == [[0, 1]] * (FRAMES - 151)


def test_a_silent_moment_of_a_sound_is_not_taught() -> None:
    paused = sound().copy()
    paused[100:200] = 0

    present = mix([Layer(paused, SPEECH)]).present

    assert present[:100].tolist() == [[1, 0]] * 100
    assert present[100:200].tolist() == [[UNHEARD, 0]] * 100


@pytest.mark.parametrize(("below_db", "heard"), [(10.0, 1.0), (30.0, UNHEARD)])
def test_music_that_nobody_would_hear_is_not_taught(below_db: float, heard: float) -> None:
    bed = quieter(Layer(sound(1), MUSIC), below_db)

    present = mix([Layer(sound(), SPEECH), bed]).present

    assert set(present[:, 0]) == {1.0}
    assert set(present[:, 1]) == {heard}


def test_windows_are_finite_loud_enough_and_labelled() -> None:
    windows = mixer()

    for _ in range(60):
        made = windows.window()
        assert made.power.shape == (FRAMES, FRONTEND.bands)
        assert made.power.dtype == np.float32
        assert np.all(np.isfinite(made.power))
        assert np.all(made.power > 0)
        assert set(np.unique(made.present)) <= {0.0, 1.0, UNHEARD}


@pytest.mark.parametrize("label", [0, 1])
def test_voices_and_records_begin_and_end_under_each_other(label: int) -> None:
    windows = mixer()
    there = [mix(windows.talk_over()).present[:, label] for _ in range(100)]

    assert any(one[0] == 0 and one[-1] == 1 for one in there)
    assert any(one[0] == 1 and one[-1] == 0 for one in there)


def test_scenes_come_out_of_nothing_and_go_into_it() -> None:
    windows = mixer()
    energies = [of_frames(mix(windows.change()).power) for _ in range(100)]

    assert any(one[0] == 0 and one[-1] > 0 for one in energies)
    assert any(one[0] > 0 and one[-1] == 0 for one in energies)


def test_the_same_seed_makes_the_same_windows() -> None:
    first, again = (next(mixer(seed=7).batches(4)) for _ in range(2))

    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_stretch_keeps_to_one_source() -> None:
    shelf = library(speech=9)
    rng = np.random.default_rng(0)

    for voice, hz in zip(shelf.voices["speech"], (560, 784), strict=True):
        loudest = shelf.bands.hz[shelf.stretch(voice, FRAMES, rng).sum(axis=0).argmax()]
        assert loudest == pytest.approx(hz, rel=0.17)


def test_a_big_collection_does_not_own_its_kind() -> None:
    clip = tone(500.0, seconds=3.0)
    shelf = Library([*[Take("speech", "big", clip)] * 100, Take("speech", "small", clip)], bands())
    rng = np.random.default_rng(0)

    drawn = [shelf.draw("speech", rng).name for _ in range(400)]

    assert 0.1 < drawn.count("small") / 400 < 0.35


def test_single_words_count_less_than_running_speech() -> None:
    words = [Take("speech", "words", tone(500.0, seconds=0.25))] * 240
    prose = [Take("speech", "prose", tone(500.0, seconds=10.0))] * 6
    shelf = Library([*words, *prose], bands())
    rng = np.random.default_rng(0)

    drawn = [shelf.draw("speech", rng).name for _ in range(400)]

    assert drawn.count("words") / 400 < 0.2


def test_noise_is_also_played_backwards_and_other_kinds_are_not() -> None:
    """What gets louder all the time gets softer when it is reversed."""
    swelling = np.log(1e-3 + np.linspace(0, 1, 600, dtype=np.float32))[:, None]
    clip = (swelling + np.zeros((1, FRONTEND.bands), np.float32)).astype(np.float16)
    shelf = Library([Take("other", "a", clip)], bands())
    rng = np.random.default_rng(0)

    def falls(*, wild: bool) -> float:
        """The share of stretches that are mostly softer at their ends."""
        drawn = [
            of_frames(shelf.stretch(shelf.voices["other"][0], 100, rng, wild=wild))
            for _ in range(200)
        ]
        return float(np.mean([one[:20].sum() > one[-20:].sum() for one in drawn]))

    assert falls(wild=True) > falls(wild=False) + 0.2


def test_music_is_sung_made_up_and_recorded() -> None:
    """Each kind of music has a pitch of its own here, and all of them come up."""
    hz = {SONG: 300.0, SINGING: 700.0, TUNE: 1_600.0, "music": 3_500.0}
    takes = [Take(kind, kind, tone(pitch, 6.0)) for kind, pitch in hz.items()]
    silent = [Take(kind, kind, tone(7_000.0, 6.0)) for kind in ("speech", MADE)]
    made = Mixer(Library([*takes, *silent], bands()), FRAMES, np.random.default_rng(1))

    loudest = [
        float(bands().hz[made.music()[0].power.sum(axis=0)[:58].argmax()]) for _ in range(200)
    ]

    nearest = [min(hz, key=lambda kind: abs(np.log(hz[kind] / one))) for one in loudest]
    assert {kind: nearest.count(kind) > 8 for kind in hz} == dict.fromkeys(hz, True)
    assert nearest.count("music") > 80


@given(factor=st.floats(0.8, 1.25))
@EXAMPLES
def test_a_shift_moves_a_tone_to_its_new_frequency(factor: float) -> None:
    moved = bands().shifted(power(tone(1_000.0)), factor)

    loudest = bands().hz[moved.sum(axis=0).argmax()]
    assert loudest == pytest.approx(1_000.0 * factor, rel=0.06)


@EXAMPLES
@given(seed=st.integers(0, 10_000))
def test_distortion_keeps_the_shape_and_stays_finite(seed: int) -> None:
    made = augment.distort(sound(), bands(), np.random.default_rng(seed))

    assert made.shape == (FRAMES, FRONTEND.bands)
    assert np.all(np.isfinite(made) & (made > 0))


def test_a_notch_takes_a_few_bands_away_in_every_frame_alike() -> None:
    before = sound()

    share = augment.notched(before, bands(), np.random.default_rng(1)) / before

    assert np.allclose(share, share[0], rtol=1e-4)
    assert 0.5 < np.mean(share[0] == 1) < 1
    assert np.all(share[0][share[0] != 1] <= 0.1)


def test_a_room_goes_on_after_the_sound() -> None:
    burst = sound() * (np.arange(FRAMES) < 50)[:, None]

    heard = augment.roomy(burst, bands(), np.random.default_rng(0))

    after = of_frames(heard)[50:]
    assert after[0] > 0
    assert after[5] > 5 * after[60]


def test_compression_evens_out_the_level() -> None:
    uneven = sound() * np.where(np.arange(FRAMES) < 125, 1.0, 0.01)[:, None].astype(np.float32)

    even = of_frames(augment.compressed(uneven, bands(), np.random.default_rng(0)))

    assert even[:100].mean() / even[150:].mean() < 50


def test_bandwidth_tells_nothing_about_the_class() -> None:
    """Windows of high tones and of low ones lose their upper bands equally often."""
    takes = [Take(kind, kind, listener().keep(noise(6.0))) for kind in ("speech", "music", MADE)]
    made = Mixer(Library(takes, bands()), FRAMES, np.random.default_rng(3))
    kinds: dict[str, list[bool]] = {"speech": [], "music": []}
    for _ in range(600):
        window = made.window()
        here = [window.present[:, column].max() for column in (0, 1)]
        if sum(here) == 1:
            level = 10 * np.log10(window.power.mean(axis=0))
            kinds["speech" if here[0] else "music"].append(bool(level[-1] < level[30] - 15))

    narrow = [np.mean(some) for some in kinds.values()]
    assert narrow[0] == pytest.approx(narrow[1], abs=0.12)
    assert 0.2 < narrow[0] < 0.8


@pytest.mark.parametrize("maker", synthetic.MAKERS)
@pytest.mark.parametrize("seed", range(5))
def test_made_noise_is_finite_and_audible(maker: synthetic.Maker, seed: int) -> None:
    audio = maker(80_000, RATE, np.random.default_rng(seed))

    assert audio.shape == (80_000,)
    assert np.all(np.isfinite(audio))
    assert np.std(audio) > 0
