"""Windows, targets, the loop, the figures, and `rtclassify train` from folder to bundle."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rtclassify import bundle
from rtclassify.cli import app
from rtclassify.errors import DataError, UsageError
from rtclassify.frontends import FRONTENDS
from rtclassify.training import augment, evaluate, fit, job, report, synthetic
from rtclassify.training.dataset import LABELS, Clip
from rtclassify.training.fit import Held, History, Recipe
from rtclassify.training.library import Library
from rtclassify.training.mix import Layer, Mixer, mix

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
def test_a_window_of_one_thing_is_all_or_nothing(labels, target):
    assert mix([Layer(sound(), labels)], RATE)[1].tolist() == target


@given(at=st.floats(0.0, 1.0))
def test_a_change_scores_the_share_of_each_side(at):
    before, after = Layer(sound(), SPEECH, end=at), Layer(sound(), MUSIC, start=at)

    target = mix([before, after], RATE)[1]

    assert target == pytest.approx([at, 1 - at], abs=0.03)


def test_a_pause_belongs_to_the_speech_around_it():
    spoken = sound()
    spoken[20_000:60_000] = 0

    assert mix([Layer(spoken, SPEECH)], RATE)[1].tolist() == [1, 0]


def test_silence_before_speech_does_not_count():
    assert mix([Layer(sound(), SPEECH, start=0.6)], RATE)[1].tolist() == [1, 0]


def test_a_voice_that_joins_music_is_both_for_its_time():
    target = mix([Layer(sound(), MUSIC), Layer(sound(seed=1), SPEECH, start=0.25)], RATE)[1]

    assert target == pytest.approx([0.75, 1.0], abs=0.03)


def test_no_window_holds_a_run_of_digital_zeros():
    """Joins filled with zeros would tell joined speech from uncut music."""
    windows = mixer()

    for _ in range(40):
        audio, _ = windows.window()
        silent = np.flatnonzero(np.concatenate([[True], audio != 0, [True]]))
        assert np.diff(silent).max() < 20


def test_windows_are_finite_within_scale_and_labelled():
    windows = mixer()

    for _ in range(40):
        audio, target = windows.window()
        assert audio.shape == (WINDOW,)
        assert audio.dtype == np.float32
        assert np.all(np.isfinite(audio))
        assert np.abs(audio).max() < 1.1
        assert np.all((target >= 0) & (target <= 1))


def test_the_same_seed_makes_the_same_windows():
    first, again = (next(mixer(seed=7).batches(4)) for _ in range(2))

    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


def test_a_stretch_keeps_to_one_source():
    shelf = library(speech=9)
    rng = np.random.default_rng(0)

    for voice, pitch in zip(shelf.voices["speech"], (250, 400), strict=True):
        spectrum = np.abs(np.fft.rfft(shelf.stretch(voice, WINDOW, rng)))
        assert np.argmax(spectrum) / 5 == pytest.approx(pitch, rel=0.15)


def test_a_big_collection_does_not_own_its_kind():
    clips = [(Clip(Path("x"), SPEECH, "big"), np.ones(3 * RATE, np.int16))] * 100
    clips += [(Clip(Path("y"), SPEECH, "small"), np.ones(3 * RATE, np.int16))]
    shelf = Library(clips, RATE)
    rng = np.random.default_rng(0)

    drawn = [shelf.draw("speech", rng).name for _ in range(400)]

    assert 0.1 < drawn.count("small") / 400 < 0.35


def test_single_words_count_less_than_running_speech():
    words = [(Clip(Path("x"), SPEECH, "words"), np.ones(RATE // 4, np.int16))] * 240
    prose = [(Clip(Path("y"), SPEECH, "prose"), np.ones(10 * RATE, np.int16))] * 6
    shelf = Library([*words, *prose], RATE)
    rng = np.random.default_rng(0)

    drawn = [shelf.draw("speech", rng).name for _ in range(400)]

    assert drawn.count("words") / 400 < 0.2


@pytest.mark.parametrize("maker", synthetic.MAKERS)
@pytest.mark.parametrize("seed", range(5))
def test_made_noise_is_finite_and_audible(maker, seed):
    audio = maker(WINDOW, RATE, np.random.default_rng(seed))

    assert audio.shape == (WINDOW,)
    assert np.all(np.isfinite(audio))
    assert np.std(audio) > 0


@given(level=st.floats(-60, -20))
def test_gain_brings_the_level(level):
    audio = augment.gain(sound(), level)

    assert 20 * np.log10(np.sqrt(np.mean(audio**2))) == pytest.approx(level, abs=0.1)


def test_the_telephone_keeps_its_band_alone():
    spectrum = np.abs(np.fft.rfft(augment.telephone(sound(), RATE))) ** 2
    hz = np.fft.rfftfreq(WINDOW, 1 / RATE)

    outside = (hz < 200) | (hz > 4_000)
    assert spectrum[outside].sum() < 0.01 * spectrum[~outside].sum()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_distortion_keeps_the_length_and_stays_finite(seed):
    audio = augment.distort(sound(), RATE, np.random.default_rng(seed))

    assert audio.shape == (WINDOW,)
    assert np.all(np.isfinite(audio))


class Loudness:
    """A front end of one frame and one band: the mean square."""

    rate, window, length, step, bands = 100, 10, 10, 10, 1

    def frames(self, audio):
        return keras.ops.mean(keras.ops.square(audio), axis=1)[:, None, None]


def toy(seed: int = 0) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A model, and windows of which the loud ones are speech."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((1, 1))
    outputs = keras.layers.Dense(2, activation="sigmoid")(keras.layers.Flatten()(inputs))
    loud = np.arange(64) % 2
    audio = np.ones((64, 10), np.float32) * loud[:, None] * 2
    return keras.Model(inputs, outputs), audio, np.stack([loud, 1 - loud], axis=1).astype("f")


def recipe(**changes) -> Recipe:
    plain = {
        "learning_rate": 0.1, "cosine": False, "batch": 64, "epochs": 12, "patience": None,
        "target": None, "log_every": 1, "keep_best": True,
    }  # fmt: skip
    return Recipe(**(plain | changes))


def train(chosen: Recipe, *, limit_s: float = np.inf, on_epoch=None, batches=None) -> tuple:
    model, audio, targets = toy()
    history = fit.fit(
        model,
        Loudness(),
        chosen,
        epoch_batches=batches or (lambda: [(audio, targets)] * 4),
        steps=4,
        held=Held(audio, targets),
        limit_s=limit_s,
        on_step=lambda _: None,
        on_epoch=on_epoch or (lambda *_: None),
    )
    return model, history, fit.crossentropy(fit.scores(model, Loudness(), audio), targets)


def test_the_loop_learns_what_can_be_learned():
    _, history, _ = train(recipe())

    assert history.epochs[-1].val_right == 1.0
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_the_best_weights_are_kept():
    _, audio, targets = toy()
    lies = iter([1, 1, 1, 0, 0, 0, 0, 0])

    def batches():
        truth = next(lies)
        return [(audio, targets if truth else 1 - targets)] * 4

    _, history, loss = train(recipe(epochs=8), batches=batches)

    losses = [epoch.val_loss for epoch in history.epochs]
    assert history.best == int(np.argmin(losses)) < 7
    assert loss == pytest.approx(min(losses), abs=1e-5)


def test_patience_ends_it():
    def batches():
        _, audio, targets = toy()
        return [(audio, 1 - targets)] * 4

    _, history, _ = train(recipe(patience=2), batches=batches)

    assert len(history.epochs) == history.best + 3 == 3
    assert history.stopped == "no better validation loss for 2 epochs"


def test_the_target_ends_it():
    _, history, _ = train(recipe(epochs=500, target=0.95))

    assert len(history.epochs) < 500
    assert history.epochs[-1].val_right >= 0.95
    assert all(epoch.val_right < 0.95 for epoch in history.epochs[:-1])


def test_the_time_limit_ends_it():
    assert train(recipe(), limit_s=0)[1].stopped == "time limit"


def test_ctrl_c_keeps_the_best_so_far():
    def stop(number, _):
        if number == 3:
            raise KeyboardInterrupt

    _, history, loss = train(recipe(), on_epoch=stop)

    assert (len(history.epochs), history.stopped) == (3, "Ctrl-C")
    assert loss == pytest.approx(history.epochs[history.best].val_loss, abs=1e-5)


def test_ctrl_c_before_anything_was_learned_goes_through():
    def batches():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), batches=batches)


def test_batches_made_ahead_come_in_order_and_fail_aloud():
    def make():
        yield from range(20)
        raise RuntimeError("no more audio")

    with fit.ahead(make()) as made:
        assert [next(made) for _ in range(20)] == list(range(20))
        with pytest.raises(RuntimeError, match="no more audio"):
            next(made)


def judged(targets: list, answers: list, sources: list[str], conditions: list[str]) -> dict:
    windows = evaluate.Validation(
        np.zeros((len(targets), 1), np.int16), np.array(targets, "f"), sources, conditions
    )
    return evaluate.measure(windows, np.array(answers, "f"))


@pytest.fixture
def metrics() -> dict:
    """Six windows, counted by hand: of four clean ones three are right, of two others one."""
    return judged(
        [[1, 0], [1, 0], [0, 1], [0, 0], [1, 1], [0.9, 0.1]],
        [[0.9, 0.1], [0.2, 0.1], [0.1, 0.6], [0.1, 0.2], [0.9, 0.4], [0.5, 0.4]],
        ["a", "a", "b", "c", "both", "speech"],
        ["clean"] * 4 + ["over music", "telephone"],
    )


def test_figures_are_counted_as_by_hand(metrics):
    assert metrics["scores"] == {
        "windows_right": 0.75,
        "windows": 4,
        "stressed_right": 0.5,
        "stressed_windows": 2,
        "speech_right": 0.8333,
        "music_right": 0.8333,
    }
    assert metrics["errors"] == {
        "missed_speech": 0.25, "false_speech": 0.0, "missed_music": 0.5, "false_music": 0.0,
    }  # fmt: skip
    assert metrics["by_source"]["a"] == {"right": 0.5, "windows": 2}
    assert metrics["by_condition"]["telephone"] == {"right": 1.0, "windows": 1}
    assert metrics["confusion"]["rows_are_truth"] == [
        [2, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1],
    ]  # fmt: skip


def test_the_sentence_names_the_weakest_and_the_commonest_mistake():
    count = 6
    said = report.sentence(
        judged(
            [[1, 0]] * count + [[0, 1]] * count,
            [[0.9, 0.1]] * count + [[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 2,
            ["prose"] * count + ["choir"] * count,
            ["clean"] * 2 * count,
        )
    )

    assert "66.7% of 12 windows of held-out recordings" in said
    assert "weakest on choir (33% of 6)" in said
    assert "hear speech where there is music (4 windows)" in said
    assert said.count(". ") == 0
    assert said.endswith(".")


def test_held_out_windows_are_clear_and_repeatable():
    shelf = library(speech=9, music=9, other=9)

    first, again = (evaluate.draw(shelf, WINDOW, seed=3) for _ in range(2))

    assert np.array_equal(first.audio, again.audio)
    assert np.all((first.targets <= 0.2) | (first.targets >= 0.8))
    assert {"clean", "telephone", "speech over music -5 dB"} <= set(first.conditions)


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
    few.setattr(job, "EPOCH_WINDOWS", 32)
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


def test_training_makes_a_bundle_that_loads(trained):
    out, _, _ = trained

    loaded = bundle.load(out)

    assert loaded.description.labels == ("speech", "music")
    assert loaded.description.data["train_h"].keys() == {"speech", "music", "other"}
    assert {path.name for path in out.iterdir()} == {
        "model.keras", "bundle.json", "metrics.json", "README.md", "training.png", "confusion.png",
    }  # fmt: skip


def test_training_ends_with_the_sentence_of_its_metrics(trained):
    out, said, _ = trained

    metrics = json.loads((out / "metrics.json").read_text("utf-8"))

    assert said.strip().endswith(report.sentence(metrics))
    assert (metrics["seed"], metrics["epochs"]) == (0, 2)
    assert metrics["versions"]["keras"] == keras.__version__


def test_training_names_files_that_cannot_be_read(trained):
    assert "1 of 13 files cannot be read" in trained[2]
    assert "broken.mp3" in trained[2]


def test_pictures_are_drawn(metrics, tmp_path):
    history = History([fit.Epoch(0.5, 0.6, 0.7, 1.0), fit.Epoch(0.4, 0.5, 0.8, 1.0)], best=1)

    report.draw(tmp_path, history, metrics)

    for name in ("training.png", "confusion.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


class Silent:
    """A watcher that watches nothing."""

    def line(self, text: str) -> None: ...

    def begin(self, what: str, total: int) -> None: ...

    def advance(self, steps: int, note: str = "") -> None: ...


def asked(data: Path | None, tmp_path: Path, **changes) -> job.Job:
    plain = {
        "network": "column_cnn", "frontend": "log_stft", "epochs": 1, "batch": None, "seed": 0,
        "loader": "", "minutes": None, "start": "", "command": "",
    }  # fmt: skip
    return job.Job(data=data, out=tmp_path / "m", cache=tmp_path / "cache", **(plain | changes))


def test_a_model_of_another_shape_is_no_start(trained, station, tmp_path):
    wanted = asked(station, tmp_path, start=str(trained[0]), network="article", frontend="article")

    with pytest.raises(UsageError, match="another network"):
        job.run(wanted, Silent())


def test_training_goes_on_from_a_model(trained, tmp_path):
    start = job._start(
        asked(None, tmp_path, start=str(trained[0])),
        job.networks.NETWORKS["column_cnn"](),
        FRONTENDS["log_stft"](),
    )

    assert start
    assert start.description.name == "mine"


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(DataError, match="nothing to learn from"):
        job.run(asked(None, tmp_path), Silent())
