"""Windows, targets, the loop, the figures, and `rtclassify train` from folder to bundle."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rtclassify import bundle
from rtclassify.cli import app
from rtclassify.errors import DataError
from rtclassify.networks import assemble
from rtclassify.stream import Samples
from rtclassify.training import augment, evaluate, fit, job, material, report, step, synthetic
from rtclassify.training.dataset import LABELS, Clip
from rtclassify.training.evaluate import CLEAN, CUT
from rtclassify.training.feed import UNHEARD, Batch, ahead
from rtclassify.training.fit import Held, History, Recipe
from rtclassify.training.layers import Layer, mix, quieter
from rtclassify.training.library import Library
from rtclassify.training.mix import Mixer

RATE = 16_000
WINDOW = 80_000
SPEECH, MUSIC, NEITHER = frozenset({"speech"}), frozenset({"music"}), frozenset[str]()


def sound(level: float = 0.1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, WINDOW).astype(np.float32)


def library(**seconds: float) -> Library:
    """A library of one-second clips; every kind has two sources, every source its own pitch."""
    takes = []
    pitch = 100
    for kind, length in seconds.items():
        for source in "ab":
            pitch += 150
            wave = 9_000 * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)
            labels = frozenset({kind} & set(LABELS))
            clip = Clip(Path(f"{kind}-{source}"), labels, f"{kind}-{source}")
            takes += [(clip, wave.astype(np.int16))] * int(length)
    return Library(takes, RATE)


def mixer(seed: int = 0) -> Mixer:
    return Mixer(library(speech=9, music=9, other=9), WINDOW, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("labels", "target"),
    [(SPEECH, [1, 0]), (MUSIC, [0, 1]), (SPEECH | MUSIC, [1, 1]), (NEITHER, [0, 0])],
)
def test_a_window_of_one_thing_is_all_or_nothing(labels: frozenset[str], target: list[int]) -> None:
    assert mix([Layer(sound(), labels)], RATE).share.tolist() == target


@given(at=st.floats(0.0, 1.0))
def test_a_change_scores_the_share_of_each_side(at: float) -> None:
    before, after = Layer(sound(), SPEECH, end=at), Layer(sound(), MUSIC, start=at)

    share = mix([before, after], RATE).share

    assert share == pytest.approx([at, 1 - at], abs=0.03)


def test_a_pause_belongs_to_the_speech_around_it() -> None:
    spoken = sound()
    spoken[20_000:60_000] = 0

    assert mix([Layer(spoken, SPEECH)], RATE).share.tolist() == [1, 0]


def test_silence_before_speech_does_not_count() -> None:
    assert mix([Layer(sound(), SPEECH, start=0.6)], RATE).share.tolist() == [1, 0]


def test_a_voice_that_joins_music_is_both_for_its_time() -> None:
    made = mix([Layer(sound(), MUSIC), Layer(sound(seed=1), SPEECH, start=0.25)], RATE)

    assert made.share == pytest.approx([0.75, 1.0], abs=0.03)


def test_ticks_tell_when_each_thing_is_heard() -> None:
    layers = [Layer(sound(), SPEECH, end=0.4), Layer(sound(seed=1), MUSIC, start=0.6)]

    ticks = mix(layers, RATE).ticks

    assert ticks[:20].tolist() == [[1, 0]] * 20
    assert ticks[20:30].tolist() == [[UNHEARD] * 2] * 10
    assert ticks[30:].tolist() == [[0, 1]] * 20


@pytest.mark.parametrize(("below_db", "share"), [(10.0, [1, 1]), (30.0, [1, 0])])
def test_music_that_nobody_would_hear_is_not_taught(below_db: float, share: list[int]) -> None:
    bed = quieter(Layer(sound(seed=1), MUSIC), below_db)

    made = mix([Layer(sound(), SPEECH), bed], RATE)

    assert made.share.tolist() == share
    assert set(made.ticks[:, 1]) == {1.0 if share[1] else UNHEARD}


def test_no_window_holds_a_run_of_digital_zeros() -> None:
    """Joins filled with zeros would tell joined speech from uncut music."""
    windows = mixer()

    for _ in range(40):
        audio = windows.window().audio
        silent = np.flatnonzero(np.concatenate([[True], audio != 0, [True]]))
        assert np.diff(silent).max() < 20


def test_windows_are_finite_within_scale_and_labelled() -> None:
    windows = mixer()

    for _ in range(40):
        made = windows.window()
        assert made.audio.shape == (WINDOW,)
        assert made.audio.dtype == np.float32
        assert np.all(np.isfinite(made.audio))
        assert np.abs(made.audio).max() < 1.1
        assert np.all((made.share >= 0) & (made.share <= 1))
        assert made.ticks.shape == (50, 2)


def test_the_same_seed_makes_the_same_windows() -> None:
    first, again = (next(mixer(seed=7).batches(4)) for _ in range(2))

    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_stretch_keeps_to_one_source() -> None:
    shelf = library(speech=9)
    rng = np.random.default_rng(0)

    for voice, pitch in zip(shelf.voices["speech"], (250, 400), strict=True):
        spectrum = np.abs(np.fft.rfft(shelf.stretch(voice, WINDOW, rng)))
        assert np.argmax(spectrum) / 5 == pytest.approx(pitch, rel=0.15)


def test_a_big_collection_does_not_own_its_kind() -> None:
    clips = [(Clip(Path("x"), SPEECH, "big"), np.ones(3 * RATE, np.int16))] * 100
    clips += [(Clip(Path("y"), SPEECH, "small"), np.ones(3 * RATE, np.int16))]
    shelf = Library(clips, RATE)
    rng = np.random.default_rng(0)

    drawn = [shelf.draw("speech", rng).name for _ in range(400)]

    assert 0.1 < drawn.count("small") / 400 < 0.35


def test_single_words_count_less_than_running_speech() -> None:
    words = [(Clip(Path("x"), SPEECH, "words"), np.ones(RATE // 4, np.int16))] * 240
    prose = [(Clip(Path("y"), SPEECH, "prose"), np.ones(10 * RATE, np.int16))] * 6
    shelf = Library([*words, *prose], RATE)
    rng = np.random.default_rng(0)

    drawn = [shelf.draw("speech", rng).name for _ in range(400)]

    assert drawn.count("words") / 400 < 0.2


@pytest.mark.parametrize("maker", synthetic.MAKERS)
@pytest.mark.parametrize("seed", range(5))
def test_made_noise_is_finite_and_audible(maker: synthetic.Maker, seed: int) -> None:
    audio = maker(WINDOW, RATE, np.random.default_rng(seed))

    assert audio.shape == (WINDOW,)
    assert np.all(np.isfinite(audio))
    assert np.std(audio) > 0


@given(level=st.floats(-60, -20))
def test_gain_brings_the_level(level: float) -> None:
    audio = augment.gain(sound(), level)

    assert 20 * np.log10(np.sqrt(np.mean(audio**2))) == pytest.approx(level, abs=0.1)


def test_the_telephone_keeps_its_band_alone() -> None:
    spectrum = np.abs(np.fft.rfft(augment.telephone(sound(), RATE))) ** 2
    hz = np.fft.rfftfreq(WINDOW, 1 / RATE)

    outside = (hz < 200) | (hz > 4_000)
    assert spectrum[outside].sum() < 0.01 * spectrum[~outside].sum()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_distortion_keeps_the_length_and_stays_finite(seed: int) -> None:
    audio = augment.distort(sound(), RATE, np.random.default_rng(seed))

    assert audio.shape == (WINDOW,)
    assert np.all(np.isfinite(audio))


@dataclass(frozen=True)
class Loudness:
    """A front end of the mean square of every ten samples."""

    rate = 100
    window = 100
    length = 10
    step = 10
    bands = 1

    def frames(self, audio: tf.Tensor) -> tf.Tensor:
        """Return the mean squares, shape (n, 10, 1)."""
        return keras.ops.mean(keras.ops.square(keras.ops.reshape(audio, (-1, 10, 10, 1))), axis=2)

    def config(self) -> dict[str, Any]:
        """Return nothing: it is never restored."""
        return {}


@dataclass(frozen=True)
class Judge:
    """A network of a dense layer a frame, whose columns have opinions if asked for."""

    named: str = "opinions"

    stride = 1
    reach = 1

    def build(self, *, frames: int, bands: int, labels: int) -> keras.Model:
        """Build it; the trunk does nothing."""
        seen = keras.Input((None, bands))
        trunk = keras.Model(seen, keras.layers.Identity()(seen), name="trunk")
        kept = keras.Input((frames, bands))
        opinions = keras.layers.Dense(labels, activation="sigmoid", name=self.named)(kept)
        head = keras.Model(kept, keras.ops.mean(opinions, axis=1), name="head")
        return assemble(trunk, head, frames=frames, bands=bands)

    def config(self) -> dict[str, Any]:
        """Return nothing: it is never restored."""
        return {}


LOUD = np.arange(64) % 2
TOYS = np.ones((64, 100), np.float32) * LOUD[:, None] * 2
TRUTH = np.stack([LOUD, 1 - LOUD], axis=1).astype(np.float32)


def batch(targets: Samples = TRUTH, ticks: Samples | None = None) -> Batch:
    """The toys, of which the loud ones are speech; nothing said about ticks."""
    silent = np.full((64, 10, 2), UNHEARD, np.float32)
    return Batch(TOYS, targets, silent if ticks is None else ticks)


def recipe(**changes: Any) -> Recipe:
    """A quick one."""
    plain = Recipe(
        learning_rate=0.1,
        cosine=False,
        batch=64,
        epochs=12,
        patience=None,
        target=None,
        log_every=1,
        keep_best=True,
        averaging=0.0,
    )
    return replace(plain, **changes)


def ignore(*_: object) -> None:
    """Take what nobody watches."""


def train(
    chosen: Recipe,
    *,
    limit_s: float = math.inf,
    on_epoch: Callable[[int, fit.Epoch], None] = ignore,
    batches: Callable[[], Iterable[Batch]] = lambda: [batch()] * 4,
    network: Judge = Judge(),
) -> tuple[keras.Model, History, float]:
    """Train on the toys; return the model, what happened, and the validation loss now."""
    keras.utils.set_random_seed(0)
    model = network.build(frames=10, bands=1, labels=2)
    history = fit.fit(
        model,
        Loudness(),
        network,
        chosen,
        epoch_batches=batches,
        steps=4,
        held=Held(TOYS, TRUTH),
        limit_s=limit_s,
        on_step=ignore,
        on_epoch=on_epoch,
    )
    return model, history, step.crossentropy(step.scores(model, Loudness(), TOYS), TRUTH)


def test_the_loop_learns_what_can_be_learned() -> None:
    _, history, _ = train(recipe())

    assert history.epochs[-1].val_right == 1.0
    assert history.epochs[-1].loss < history.epochs[0].loss


@pytest.mark.parametrize(("named", "learns"), [("opinions", True), ("else", False)])
def test_columns_learn_when_speech_is_heard(named: str, *, learns: bool) -> None:
    """Of windows whose share is one half, ticks alone tell which half is speech."""
    audio = np.tile(np.repeat([2.0, 0.0], 50).astype(np.float32), (64, 1))
    half = np.full((64, 2), 0.5, np.float32)
    ticks = np.tile(np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0), (64, 1, 1)).astype(np.float32)

    model, _, _ = train(
        recipe(epochs=60, keep_best=False),
        batches=lambda: [Batch(audio, half, ticks)] * 4,
        network=Judge(named),
    )

    loud = step.scores(model, Loudness(), np.full((1, 100), 2.0, np.float32))
    assert (loud[0, 0] > 0.9) == learns


def test_the_best_weights_are_kept() -> None:
    truths = iter([1, 1, 1, 0, 0, 0, 0, 0])

    def batches() -> list[Batch]:
        return [batch(TRUTH if next(truths) else 1 - TRUTH)] * 4

    _, history, loss = train(recipe(epochs=8), batches=batches)

    losses = [epoch.val_loss for epoch in history.epochs]
    assert history.best == int(np.argmin(losses)) < 7
    assert loss == pytest.approx(min(losses), abs=1e-5)


def test_what_is_kept_may_be_the_mean_of_weights_that_swing() -> None:
    """Two truths in turn throw the weights about; their mean lies between the two."""
    truths = [TRUTH, 1 - TRUTH] * 40

    def loss(averaging: float) -> float:
        chosen = recipe(epochs=1, learning_rate=1.0, averaging=averaging, keep_best=False)
        return train(chosen, batches=lambda: [batch(truth) for truth in truths])[2]

    assert loss(0.95) < loss(0.0)


def test_patience_ends_it() -> None:
    _, history, _ = train(recipe(patience=2), batches=lambda: [batch(1 - TRUTH)] * 4)

    assert len(history.epochs) == history.best + 3 == 3
    assert history.stopped == "no better validation loss for 2 epochs"


def test_the_target_ends_it() -> None:
    _, history, _ = train(recipe(epochs=500, target=0.95))

    assert len(history.epochs) < 500
    assert history.epochs[-1].val_right >= 0.95
    assert all(epoch.val_right < 0.95 for epoch in history.epochs[:-1])


def test_the_time_limit_ends_it() -> None:
    assert train(recipe(), limit_s=0)[1].stopped == "time limit"


def test_ctrl_c_keeps_the_best_so_far() -> None:
    def stop(number: int, _: fit.Epoch) -> None:
        if number == 3:
            raise KeyboardInterrupt

    _, history, loss = train(recipe(), on_epoch=stop)

    assert (len(history.epochs), history.stopped) == (3, "Ctrl-C")
    assert loss == pytest.approx(history.epochs[history.best].val_loss, abs=1e-5)


def test_ctrl_c_before_anything_was_learned_goes_through() -> None:
    def batches() -> list[Batch]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), batches=batches)


def test_batches_made_ahead_come_in_order_and_fail_aloud() -> None:
    batches = [batch() for _ in range(20)]

    def make() -> Iterator[Batch]:
        yield from batches
        raise RuntimeError("no more audio")

    with ahead(make()) as made:
        assert all(next(made) is one for one in batches)
        with pytest.raises(RuntimeError, match="no more audio"):
            next(made)


def judged(
    targets: Sequence[Sequence[float]],
    answers: Sequence[Sequence[float]],
    sources: list[str],
    conditions: list[str],
) -> dict[str, Any]:
    """Measure windows of which only truth and answers matter."""
    audio = np.zeros((len(targets), 1), np.int16)
    windows = evaluate.Validation(audio, np.array(targets, np.float32), sources, conditions)
    return evaluate.measure(windows, np.array(answers, np.float32))


@pytest.fixture
def metrics() -> dict[str, Any]:
    """Seven windows: four as recorded, one drawn by source, two under stress."""
    return judged(
        [[1, 0], [1, 0], [0, 1], [0, 0], [1, 0], [1, 1], [0.9, 0.1]],
        [[0.9, 0.1], [0.2, 0.1], [0.1, 0.6], [0.1, 0.2], [0.9, 0.1], [0.9, 0.4], [0.5, 0.4]],
        ["a", "a", "b", "c", "a", "both", "speech"],
        [CUT] * 4 + [CLEAN, "over music", "telephone"],
    )


def test_figures_are_counted_as_by_hand(metrics: dict[str, Any]) -> None:
    assert metrics["scores"] == {
        "windows_right": 0.75,
        "windows": 4,
        "sources_right": 1.0,
        "stressed_right": 0.5,
        "stressed_windows": 2,
    }
    assert metrics["errors"] == {
        "missed_speech": 0.2,
        "false_speech": 0.0,
        "missed_music": 0.5,
        "false_music": 0.0,
    }
    assert metrics["by_kind"]["speech"] == {"right": 0.5, "windows": 2}
    assert metrics["by_source"] == {"a": {"right": 1.0, "windows": 1}}
    assert metrics["by_condition"]["telephone"] == {"right": 1.0, "windows": 1}
    assert metrics["confusion"]["rows_are_truth"] == [
        [3, 0, 0, 1],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
    ]


def test_the_sentence_names_the_weakest_and_the_commonest_mistake() -> None:
    said = report.sentence(
        judged(
            [[1, 0]] * 6 + [[0, 1]] * 6,
            [[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 2,
            ["prose"] * 6 + ["choir"] * 6,
            [CUT] * 12,
        )
    )

    assert "66.7% of 12 windows of held-out recordings" in said
    assert "weakest on choir (33% of 6)" in said
    assert "hear speech where there is music (4 windows)" in said
    assert said.count(". ") == 0
    assert said.endswith(".")


def test_held_out_windows_are_clear_and_repeatable() -> None:
    shelf = library(speech=9, music=9, other=9)

    first, again = (evaluate.draw(shelf, WINDOW, seed=3) for _ in range(2))

    assert np.array_equal(first.audio, again.audio)
    assert np.all((first.targets <= 0.2) | (first.targets >= 0.8))
    assert {CUT, CLEAN, "telephone", "speech over music -5 dB"} <= set(first.conditions)


def test_recordings_are_cut_from_end_to_end() -> None:
    """Two sources of nine seconds of a kind hold one whole window each."""
    shelf = library(speech=9, music=9)

    held = evaluate.draw(shelf, WINDOW, seed=0)

    assert list(held.conditions).count(CUT) == 4


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of two-second files: bursts, chords and noise, and one file of nonsense."""
    folder = tmp_path_factory.mktemp("station")
    rng = np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE
    for number in range(4):
        hiss = rng.normal(0, 0.1, len(time))
        chord = sum(np.sin(2 * np.pi * 220 * (number + n) * time) for n in (2, 3, 4)) / 10
        sounds = {"speech": hiss * (np.sin(25 * time) > 0), "music": chord, "noise": hiss}
        for kind, audio in sounds.items():
            (folder / kind).mkdir(exist_ok=True)
            soundfile.write(folder / kind / f"{number}.wav", audio, RATE)
    (folder / "music" / "broken.mp3").write_bytes(b"no")
    return folder


@pytest.fixture(scope="module")
def trained(station: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The shortest training as a person runs it: the bundle and what was said."""
    few = pytest.MonkeyPatch()
    few.setattr(evaluate, "PER_SOURCE", 4)
    few.setattr(evaluate, "PER_CONDITION", 2)
    few.setattr(material, "EPOCH_WINDOWS", 32)
    out = tmp_path_factory.mktemp("models") / "mine"
    cache = tmp_path_factory.mktemp("cache")
    try:
        done = CliRunner().invoke(
            app,
            ["train", str(station), "--out", str(out), "--epochs", "2", "--batch", "8",
             "--cache", str(cache)],
            catch_exceptions=False,
        )  # fmt: skip
    finally:
        few.undo()
    assert done.exit_code == 0
    return out, done.stdout, done.stderr


def test_training_makes_a_bundle_that_loads(trained: tuple[Path, str, str]) -> None:
    out, _, _ = trained

    loaded = bundle.load(out)

    assert loaded.description.labels == ("speech", "music")
    assert loaded.description.data["train_h"].keys() == {"speech", "music", "other"}
    assert {path.name for path in out.iterdir()} == {
        "model.keras", "bundle.json", "metrics.json", "README.md", "training.png", "confusion.png",
    }  # fmt: skip


def test_training_ends_with_the_sentence_of_its_metrics(trained: tuple[Path, str, str]) -> None:
    out, said, _ = trained

    metrics = json.loads((out / "metrics.json").read_text("utf-8"))

    assert said.strip().endswith(report.sentence(metrics))
    assert (metrics["seed"], metrics["epochs"]) == (0, 2)
    assert metrics["versions"]["keras"] == keras.__version__


def test_training_names_files_that_cannot_be_read(trained: tuple[Path, str, str]) -> None:
    assert "1 of 13 files cannot be read" in trained[2]
    assert "broken.mp3" in trained[2]


def test_pictures_are_drawn(metrics: dict[str, Any], tmp_path: Path) -> None:
    history = History([fit.Epoch(0.5, 0.6, 0.7, 1.0), fit.Epoch(0.4, 0.5, 0.8, 1.0)], best=1)

    report.draw(tmp_path, history, metrics)

    for name in ("training.png", "confusion.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


class Silent:
    """A watcher that watches nothing."""

    def line(self, text: str) -> None:
        """Drop it."""

    def begin(self, what: str, total: int) -> None:
        """Drop it."""

    def advance(self, steps: int, note: str = "") -> None:
        """Drop it."""


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    wanted = job.Job(
        wanted=material.Wanted(data=None, loader="", cache=tmp_path, seed=0),
        out=tmp_path / "m",
        network="column_cnn",
        frontend="log_stft",
        epochs=1,
        batch=None,
        minutes=None,
        command="",
    )

    with pytest.raises(DataError, match="nothing to learn from"):
        job.run(wanted, Silent())
