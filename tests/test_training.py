"""Windows, targets, the loop, the figures, and `rtclassify train` from folder to bundle."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from typer.testing import CliRunner

from rtclassify import bundle
from rtclassify.cli import app
from rtclassify.corpus.dataset import LABELS, Clip, Heard
from rtclassify.errors import DataError
from rtclassify.evaluation.trial import CLEAN, UNHEARD
from rtclassify.frontends.stft import Stft, by_fft
from rtclassify.networks import assemble
from rtclassify.stream import Samples
from rtclassify.training import evaluate, fit, job, material, report, step
from rtclassify.training.feed import Batch, ahead
from rtclassify.training.fit import Held
from rtclassify.training.recipe import Recipe
from rtclassify.training.step import Ear
from rtclassify.training.unfinished import Epoch, History, Unfinished

RATE = 16_000


@dataclass(frozen=True)
class Loudness:
    """A front end of the mean square of every ten samples."""

    rate = 100
    window = 100
    length = 10
    step = 10
    bands = 1
    views = 1

    def frames(self, audio: tf.Tensor, _: Stft = by_fft) -> tf.Tensor:
        """Return the mean squares, shape (n, 10, 1)."""
        return keras.ops.mean(keras.ops.square(keras.ops.reshape(audio, (-1, 10, 10, 1))), axis=2)

    def config(self) -> dict[str, Any]:
        """Return nothing: it is never restored."""
        return {}


@dataclass(frozen=True)
class Judge:
    """A network of a dense layer a frame, whose every column answers, or all of them together."""

    together: bool = False

    stride = 1
    reach = 1

    def build(
        self,
        *,
        frames: int,
        bands: int,
        labels: int,
        views: int = 1,  # noqa: ARG002 - all one
    ) -> keras.Model:
        """Build it; the trunk does nothing."""
        seen = keras.Input((None, bands))
        trunk = keras.Model(seen, keras.layers.Identity()(seen), name="trunk")
        kept = keras.Input((frames, bands))
        answers = keras.layers.Dense(labels, activation="sigmoid")(kept)
        if self.together:
            answers = keras.ops.mean(answers, axis=1, keepdims=True)
        return assemble(trunk, keras.Model(kept, answers, name="head"), frames=frames, bands=bands)

    def config(self) -> dict[str, Any]:
        """Return nothing: it is never restored."""
        return {}


LOUD = np.arange(64) % 2
TOYS = np.ones((64, 100), np.float32) * LOUD[:, None] * 2
TRUTH = np.stack([LOUD, 1 - LOUD], axis=1).astype(np.float32)[:, None]


def batch(truth: Samples = TRUTH) -> Batch:
    """The toys, of which the loud ones are speech."""
    return Batch(TOYS, truth)


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
        calibrated=False,
    )
    return replace(plain, **changes)


def ignore(*_: object) -> None:
    """Take what nobody watches."""


def train(
    chosen: Recipe,
    *,
    limit_s: float = math.inf,
    on_epoch: Callable[[int, Epoch], None] = ignore,
    batches: Callable[[], Iterable[Batch]] = lambda: [batch()] * 4,
    network: Judge = Judge(),
    left: Path | None = None,
) -> tuple[keras.Model, History, float]:
    """Train on the toys; return the model, what happened, and the validation loss now."""
    keras.utils.set_random_seed(0)
    model = network.build(frames=10, bands=1, labels=2)
    history = fit.fit(
        model,
        Loudness(),
        network,
        chosen,
        ear=Ear((100,), Loudness().frames),
        epoch_batches=batches,
        steps=4,
        held=Held(TOYS, TRUTH),
        limit_s=limit_s,
        unfinished=Unfinished(left or Path(tempfile.mkdtemp()) / "left.npz"),
        on_step=ignore,
        on_epoch=on_epoch,
    )
    answers = step.scores(model, Loudness(), TOYS)
    return model, history, step.crossentropy(answers, np.tile(TRUTH, (1, answers.shape[1], 1)))


def test_the_loop_learns_what_can_be_learned() -> None:
    _, history, _ = train(recipe())

    assert history.epochs[-1].val_right == 1.0
    assert history.epochs[-1].loss < history.epochs[0].loss


@pytest.mark.parametrize("together", [False, True])
def test_columns_learn_when_speech_is_heard(*, together: bool) -> None:
    """Of windows that are half speech, the halves tell which; one answer for all cannot."""
    audio = np.tile(np.repeat([2.0, 0.0], 50).astype(np.float32), (64, 1))
    halves = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)[None].astype(np.float32)
    truth = np.tile(halves if not together else [[[1.0, 0.0]]], (64, 1, 1)).astype(np.float32)

    model, _, _ = train(
        recipe(epochs=60, keep_best=False),
        batches=lambda: [Batch(audio, truth)] * 4,
        network=Judge(together),
    )

    said = step.scores(model, Loudness(), audio[:1])[0, :, 0]
    assert np.all(said > 0.9) if together else np.all((said > 0.9) == (halves[0, :, 0] == 1))


def test_what_is_not_heard_is_not_taught() -> None:
    silent = np.full((64, 10, 2), UNHEARD, np.float32)
    silent[LOUD == 1, :3] = [1.0, 0.0]

    model, _, _ = train(recipe(epochs=60, keep_best=False), batches=lambda: [batch(silent)] * 4)

    assert np.all(step.scores(model, Loudness(), TOYS)[:, :, 0] > 0.75)


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
    def stop(number: int, _: Epoch) -> None:
        if number == 3:
            raise KeyboardInterrupt

    _, history, loss = train(recipe(), on_epoch=stop)

    assert (len(history.epochs), history.stopped) == (3, "Ctrl-C")
    assert loss == pytest.approx(history.epochs[history.best].val_loss, abs=1e-5)


def test_a_loss_that_is_no_number_ends_it_and_the_best_is_kept() -> None:
    batches = iter([[batch()] * 4] * 2 + [[batch(), Batch(TOYS * np.float32(np.nan), TRUTH)]])

    _, history, loss = train(recipe(), batches=lambda: next(batches))

    assert (len(history.epochs), history.stopped) == (2, "a loss that is no number")
    assert loss == pytest.approx(history.epochs[history.best].val_loss, abs=1e-5)


def test_a_loss_that_is_no_number_at_once_is_said() -> None:
    with pytest.raises(DataError, match="no number before the first epoch has ended"):
        train(recipe(), batches=lambda: [Batch(TOYS * np.float32(np.nan), TRUTH)])


def test_an_interrupted_training_goes_on_where_it_was(tmp_path: Path) -> None:
    """Half of it, an interruption and the other half are the whole."""
    plain = recipe(epochs=6, learning_rate=0.02, averaging=0.9)

    def stop(number: int, _: Epoch) -> None:
        if number == 3:
            raise KeyboardInterrupt

    _, whole, loss = train(plain)
    left = tmp_path / "unfinished.npz"
    train(plain, on_epoch=stop, left=left)
    _, both, resumed_loss = train(plain, left=left)

    assert resumed_loss == pytest.approx(loss, rel=1e-4)
    assert whole.earlier_s == 0.0
    assert both.earlier_s >= sum(epoch.seconds for epoch in both.epochs[:3]) > 0.0
    assert [e.val_loss for e in both.epochs] == pytest.approx([e.val_loss for e in whole.epochs])


def test_what_cannot_be_gone_on_from_is_said(tmp_path: Path) -> None:
    (tmp_path / "unfinished.npz").write_bytes(b"no")

    with pytest.raises(DataError, match="delete it and train anew"):
        Unfinished(tmp_path / "unfinished.npz").read()


def test_half_the_way_back_is_the_mean() -> None:
    before = [np.zeros(2, np.float32), np.ones((1, 1), np.float32)]
    after = [np.ones(2, np.float32), np.full((1, 1), 3, np.float32)]

    assert [part.tolist() for part in job.halfway(before, after)] == [[0.5, 0.5], [[2.0]]]


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
    shares: Sequence[Sequence[float]],
    answers: Sequence[Sequence[float]],
    sources: list[str],
    conditions: list[str],
) -> dict[str, Any]:
    """Measure windows of which only the shares of each label and the answers matter."""
    ticks = np.arange(10)[None, :, None] < 10 * np.array(shares)[:, None]
    audio = np.zeros((len(shares), 1), np.int16)
    windows = evaluate.Validation(audio, ticks.astype(np.float32), sources, conditions)
    return evaluate.measure(windows, np.array(answers, np.float32)[:, None])


@pytest.fixture
def metrics() -> dict[str, Any]:
    """Seven windows: four as recorded, two under stress, and one of which half is speech."""
    return judged(
        [[1, 0], [1, 0], [0, 1], [0, 0], [1, 1], [0.9, 0.1], [0.5, 0]],
        [[0.9, 0.1], [0.2, 0.1], [0.1, 0.6], [0.1, 0.2], [0.9, 0.4], [0.5, 0.4], [0.9, 0.9]],
        ["a", "a", "b", "c", "both", "speech", "a"],
        [CLEAN, CLEAN, "singing", "noise", "over music", "telephone", CLEAN],
    )


def test_figures_are_counted_as_by_hand(metrics: dict[str, Any]) -> None:
    assert metrics["scores"] == {
        "windows_right": 0.75,
        "windows": 4,
        "sources_right": 0.8333,
        "stressed_right": 0.5,
        "stressed_windows": 2,
    }
    assert metrics["errors"] == {
        "missed_speech": 0.25,
        "false_speech": 0.0,
        "missed_music": 0.5,
        "false_music": 0.0,
    }
    assert metrics["by_kind"]["speech"] == {"right": 0.5, "windows": 2}
    assert metrics["by_source"]["a"] == {"right": 0.5, "windows": 2}
    assert metrics["by_condition"]["telephone"] == {"right": 1.0, "windows": 1}
    assert metrics["confusion"]["rows_are_truth"] == [
        [2, 0, 0, 1],
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
            [CLEAN] * 12,
        )
    )

    assert "66.7% of 12 windows of held-out recordings" in said
    assert "weakest on choir (33% of 6)" in said
    assert "hear speech where there is music (4 windows)" in said
    assert said.count(". ") == 0
    assert said.endswith(".")


def heard(kind: str, source: str, seconds: float = 12.0) -> Heard:
    """A recording of noise that is called what it is asked to be."""
    noise = np.random.default_rng(len(source)).normal(0, 3_000, int(seconds * RATE))
    labels = frozenset({kind} & set(LABELS))
    return Clip(Path(f"{source}.wav"), labels, source), noise.astype(np.int16)


def test_held_out_windows_are_repeatable_and_of_every_condition() -> None:
    recordings = [heard("speech", "a"), heard("music", "bb"), heard("other", "ccc")]

    first, again = (evaluate.draw(recordings, RATE, 5 * RATE, seed=3) for _ in range(2))

    assert np.array_equal(first.audio, again.audio)
    assert first.present.shape == (len(first.audio), 50, 2)
    assert {CLEAN, "telephone", "speech over music -5 dB", "programme"} <= set(first.conditions)


def test_recordings_are_cut_from_end_to_end() -> None:
    """Three recordings of twelve seconds hold two whole windows each."""
    recordings = [heard("speech", "a"), heard("music", "bb"), heard("other", "ccc")]

    held = evaluate.draw(recordings, RATE, 5 * RATE, seed=0)

    assert sum(condition in evaluate.AS_RECORDED for condition in held.conditions) == 6


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


def few(patch: pytest.MonkeyPatch) -> None:
    """Make training as short as it can be."""
    patch.setattr(evaluate, "PROGRAMMES", 1)
    patch.setattr(material, "MADE_CLIPS", 4)
    patch.setattr(material, "SONGS", 4)
    patch.setattr(material, "TUNES", 4)
    patch.setattr(material, "EPOCH_WINDOWS", 32)


@pytest.fixture(
    scope="module", params=[("log_stft", "column_cnn"), ("harmonic_stft", "branched_cnn")]
)
def trained(
    request: pytest.FixtureRequest, station: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """The shortest training as a person runs it: the bundle and what was said."""
    frontend, network = request.param
    patch = pytest.MonkeyPatch()
    few(patch)
    out = tmp_path_factory.mktemp("models") / "mine"
    cache = tmp_path_factory.mktemp("cache")
    try:
        done = CliRunner().invoke(
            app,
            ["train", str(station), "--out", str(out), "--epochs", "2", "--batch", "8",
             "--cache", str(cache), "--frontend", frontend, "--network", network],
            catch_exceptions=False,
        )  # fmt: skip
    finally:
        patch.undo()
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


def test_a_station_of_its_own_is_learned_from_a_trained_model(
    trained: tuple[Path, str, str], station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network, the front end and half of every weight are the old model's."""
    few(monkeypatch)

    done = CliRunner().invoke(
        app,
        ["train", str(station), "--init", str(trained[0]), "--out", str(tmp_path / "ours"),
         "--epochs", "1", "--batch", "8", "--cache", str(tmp_path), "--logs", str(tmp_path / "b")],
        catch_exceptions=False,
    )  # fmt: skip

    assert done.exit_code == 0
    old, new = (bundle.load(path) for path in (trained[0], tmp_path / "ours"))
    assert new.network.config() == old.network.config()
    for before, after in zip(old.model.get_weights(), new.model.get_weights(), strict=True):
        assert np.abs(after - before).max() < 1.0
    assert list((tmp_path / "b").glob("events.*"))


def test_training_names_files_that_cannot_be_read(trained: tuple[Path, str, str]) -> None:
    assert "1 of 13 files cannot be read" in trained[2]
    assert "broken.mp3" in trained[2]


def test_pictures_are_drawn(metrics: dict[str, Any], tmp_path: Path) -> None:
    history = History([Epoch(0.5, 0.6, 0.7, 1.0), Epoch(0.4, 0.5, 0.8, 1.0)], best=1)

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
        init="",
        resume=False,
        logs=None,
        command="",
    )

    with pytest.raises(DataError, match="nothing to learn from"):
        job.run(wanted, Silent())
