"""The article's system: its numbers, its faults mended, and TensorFlow Datasets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from rtclassify import bundle
from rtclassify.cli import app
from rtclassify.corpus import dataset, decode
from rtclassify.corpus.dataset import Clip
from rtclassify.errors import DataError, DependencyError
from rtclassify.frontends import FRONTENDS, frame_count
from rtclassify.networks import NETWORKS
from rtclassify.training import article, tfds

RATE, CHUNK = 22_050, 110_250


def take(name: str, *labels: str, seconds: float = 30.0) -> tuple[Clip, decode.Stored]:
    samples = np.arange(int(seconds * RATE)) // CHUNK + 1
    return Clip(Path(name), frozenset(labels), name), samples.astype(np.int16)


@pytest.fixture(scope="module")
def gtzan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten-second files in GTZAN's layout: chords and bursts of noise."""
    folder = tmp_path_factory.mktemp("gtzan")
    rng = np.random.default_rng(0)
    time = np.arange(10 * RATE) / RATE
    for kind in ("music", "speech"):
        (folder / f"{kind}_wav").mkdir()
    for number in range(5):
        chord = sum(np.sin(2 * np.pi * 110 * (number + n) * time) for n in (2, 3, 4)) / 10
        bursts = rng.normal(0, 0.1, len(time)) * (np.sin(25 * time) > 0)
        soundfile.write(folder / "music_wav" / f"m{number}.wav", chord, RATE)
        soundfile.write(folder / "speech_wav" / f"s{number}.wav", bursts, RATE)
    return folder


def test_the_recipe_has_the_articles_numbers() -> None:
    recipe = article.RECIPE

    assert (recipe.learning_rate, recipe.batch, recipe.epochs) == (3e-6, 12, 500)
    assert (recipe.target, recipe.log_every, recipe.cosine) == (0.95, 5, False)


def test_the_input_has_the_articles_shape() -> None:
    frontend = FRONTENDS["article"]()

    assert (frontend.rate, frontend.window) == (RATE, CHUNK)
    assert (frontend.bands, frame_count(frontend, CHUNK)) == (129, 212)
    model = NETWORKS["article"]().build(frames=212, bands=129, labels=2)
    assert model.output_shape == (None, 1, 2)


def test_all_six_chunks_of_a_file_are_used() -> None:
    audio, targets, sources = article.chunks([take("s", "speech"), take("m", "music")], CHUNK)

    assert audio.shape == (12, CHUNK)
    assert [int(chunk[0]) for chunk in audio] == [1, 2, 3, 4, 5, 6] * 2
    assert targets.tolist() == [[1, 0]] * 6 + [[0, 1]] * 6
    assert sources == ["s"] * 6 + ["m"] * 6


def test_what_is_neither_or_both_is_left_out() -> None:
    takes = [take("s", "speech"), take("m", "music"), take("n"), take("b", "speech", "music")]

    assert len(article.chunks(takes, CHUNK)[0]) == 12


def test_recordings_shorter_than_a_chunk_are_refused() -> None:
    with pytest.raises(DataError, match="No recording of music is as long"):
        article.chunks([take("s", "speech"), take("m", "music", seconds=4.0)], CHUNK)


def test_no_file_has_chunks_on_both_sides() -> None:
    takes = [take(f"{label}{n}", label) for label in ("speech", "music") for n in range(10)]
    clips = [clip for clip, _ in takes]

    sides = dataset.split(clips, seed=0, by_source=False)

    train, val = (
        article.chunks([t for t, s in zip(takes, sides, strict=True) if s == side], CHUNK)[2]
        for side in ("train", "val")
    )
    assert (len(set(train)), len(set(val))) == (16, 4)
    assert not set(train) & set(val)


def test_an_epoch_is_every_chunk_once_in_a_new_order() -> None:
    audio = np.arange(30, dtype=np.int16).reshape(30, 1)
    epoch = article.shuffled(audio, np.zeros((30, 2), "f"), 12, np.random.default_rng(0))

    first, second = ([b[0] for b in epoch()] for _ in range(2))

    assert [len(batch) for batch in first] == [12, 12, 6]
    heard = [np.concatenate(batches).ravel() * decode.FULL_SCALE for batches in (first, second)]
    assert all(sorted(np.round(h)) == list(range(30)) for h in heard)
    assert not np.array_equal(heard[0], heard[1])


def test_digital_silence_stays_finite() -> None:
    frames = FRONTENDS["article"]().frames(np.zeros((1, CHUNK), np.float32))

    assert np.all(np.isfinite(frames))


def test_the_articles_system_trains_from_folder_to_bundle(gtzan: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        ["train", str(gtzan), "--out", str(tmp_path / "article"), "--network", "article",
         "--frontend", "article", "--epochs", "2", "--cache", str(tmp_path / "cache")],
        catch_exceptions=False,
    )  # fmt: skip

    assert done.exit_code == 0
    assert "right about both speech and music" in done.stdout
    loaded = bundle.load(tmp_path / "article")
    scores = loaded.scores(np.zeros((1, CHUNK), np.float32))
    assert scores.shape == (1, 13, 2)
    np.testing.assert_allclose(scores.sum(axis=2), 1.0, atol=1e-6)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A small local builder with the features of gtzan_music_speech; its name and folder."""
    library = pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is missing")
    folder = tmp_path_factory.mktemp("tfds")

    class TinyMusicSpeech(library.core.GeneratorBasedBuilder):  # type: ignore[misc, name-defined]
        VERSION = library.core.Version("1.0.0")
        pkg_dir_path = folder

        def _info(self) -> Any:
            features = {
                "audio": library.features.Audio(),
                "label": library.features.ClassLabel(names=["music", "speech"]),
                "audio/filename": library.features.Text(),
            }
            return library.core.DatasetInfo(
                builder=self, features=library.features.FeaturesDict(features)
            )

        def _split_generators(self, _: Any) -> dict[str, Any]:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
            for number in range(6):
                label = ("music", "speech")[number % 2]
                audio = np.full(2 * RATE, 1_000 * (number + 1), np.int64)
                name = f"{label}{number}.wav"
                yield name, {"audio": audio, "label": label, "audio/filename": name}

    TinyMusicSpeech(data_dir=folder).download_and_prepare()
    return "tfds:tiny_music_speech", folder


def test_tensorflow_datasets_gives_clips_and_samples(prepared: tuple[str, Path]) -> None:
    takes = sorted(tfds.load(*prepared, rate=16_000), key=lambda t: t[0].path)

    assert [(clip.path.name, clip.kind) for clip, _ in takes][:2] == [
        ("music0.wav", "music"),
        ("music2.wav", "music"),
    ]
    assert all(len(audio) == 32_000 for _, audio in takes)
    levels = [int(np.median(audio)) for _, audio in takes]
    assert levels == pytest.approx([1_000, 3_000, 5_000, 2_000, 4_000, 6_000], abs=2)


@pytest.mark.usefixtures("prepared")
def test_a_set_that_does_not_exist_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be loaded"):
        tfds.load("tfds:no_such_set_at_all", tmp_path, 16_000)


def test_a_loader_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="write tfds:NAME"):
        tfds.load("hub:gtzan", tmp_path, 16_000)


def test_without_the_library_one_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)

    with pytest.raises(DependencyError, match=r"pip install 'rtclassify\[tfds\]'"):
        tfds.load("tfds:gtzan_music_speech", tmp_path, 16_000)
