"""A bundle reads back as what was written, and anything else is refused with one sentence."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from test_engine import noise, untrained

from rtclassify import bundle as bundles
from rtclassify import description
from rtclassify.errors import BundleError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "tiny"))


def rewrite(path: Path, **changes: object) -> None:
    said = json.loads((path / "bundle.json").read_text())
    (path / "bundle.json").write_text(json.dumps(said | changes))


def digest_again(path: Path) -> None:
    said = json.loads((path / "bundle.json").read_text())
    files = {name: description.file_digest(path / name) for name in said["files"]}
    rewrite(path, files=files)


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        bundles.load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_bundle_reads_back_as_what_was_written(made: Path) -> None:
    bundle = bundles.load(made)
    audio = noise(1, 2 * 80_000).reshape(2, -1)

    again = bundles.load(made)

    assert bundle.description == again.description
    assert bundle.description.hop == 8_000
    assert bundle.description.tag == f"tiny@{bundle.description.digest[:12]}"
    np.testing.assert_array_equal(bundle.scores(audio), again.scores(audio))


def test_tails_are_read_back_and_bundles_of_before_there_were_any_have_none(copy: Path) -> None:
    rewrite(copy, tails_s=[0.2, 0.5])
    assert bundles.load(copy).description.tails_s == (0.2, 0.5)

    said = json.loads((copy / "bundle.json").read_text())
    del said["tails_s"]
    (copy / "bundle.json").write_text(json.dumps(said))
    assert bundles.load(copy).description.tails_s == (0.0, 0.0)


@pytest.mark.parametrize("tails_s", [[0.2], [0.2, 0.5, 0.1], None])
def test_tails_that_are_not_one_for_each_answer_are_refused(
    copy: Path, tails_s: list[float] | None
) -> None:
    rewrite(copy, tails_s=tails_s)

    assert "is not a whole bundle" in refusal(copy)


def test_a_changed_byte_is_found(copy: Path) -> None:
    model = copy / "model.keras"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)

    assert "changed or damaged" in refusal(copy)


def test_changed_weights_with_a_matching_digest_are_found_by_the_probe(copy: Path) -> None:
    model = keras.models.load_model(copy / "model.keras")
    answers = model.get_layer("head").layers[-1]
    answers.bias.assign(answers.bias + 0.5)
    model.save(copy / "model.keras")
    digest_again(copy)

    assert "no longer scores its probe" in refusal(copy)


def test_a_changed_front_end_is_found_by_the_probe(copy: Path) -> None:
    frontend = json.loads((copy / "bundle.json").read_text())["frontend"]
    rewrite(copy, frontend=frontend | {"floor": 0.1})

    assert "no longer scores its probe" in refusal(copy)


def test_a_layer_that_carries_code_is_refused(copy: Path) -> None:
    shape = (398, 64)
    layer = keras.layers.Lambda(lambda frames: frames[:, 0, :2])
    keras.Sequential([keras.Input(shape), layer]).save(copy / "model.keras")
    digest_again(copy)

    assert "which is code" in refusal(copy)


def test_a_keras_model_that_is_no_network_of_ours_is_refused(copy: Path) -> None:
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(copy / "model.keras")
    digest_again(copy)

    assert "cannot be loaded" in refusal(copy)


def test_a_model_of_an_older_version_that_knows_no_columns_is_refused(copy: Path) -> None:
    frames = keras.Input((249, 64))
    trunk = keras.Model(frames, keras.layers.Conv1D(4, 37, strides=5)(frames), name="trunk")
    kept = keras.Input((43, 4))
    mean = keras.layers.GlobalAveragePooling1D()(kept)
    head = keras.Model(kept, keras.layers.Dense(2)(mean), name="head")
    keras.Model(frames, head(trunk(frames))).save(copy / "model.keras")
    digest_again(copy)

    assert "answers once for a whole window" in refusal(copy)


@pytest.mark.parametrize("name", ["model.keras", "metrics.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()

    assert name in refusal(copy)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 99}, "schema 99"),
        ({"frontend": {"name": "psychic"}}, "'psychic'"),
        ({"network": {"name": "column_cnn", "depth": 3}}, "depth"),
    ],
)
def test_a_foreign_bundle_is_refused(copy: Path, changes: dict[str, Any], said: str) -> None:
    rewrite(copy, **changes)

    assert said in refusal(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{ not json", '{"schema": 1}'])
def test_a_bundle_json_that_is_none_is_refused(copy: Path, text: str) -> None:
    (copy / "bundle.json").write_text(text)

    assert "bundle" in refusal(copy)


def test_a_truncated_model_is_refused_before_keras_sees_it(copy: Path) -> None:
    (copy / "model.keras").write_bytes((copy / "model.keras").read_bytes()[:1000])
    digest_again(copy)

    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(copy / "model.keras")
    assert "not a Keras model" in refusal(copy)


def test_an_unknown_name_is_answered_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, made: Path
) -> None:
    monkeypatch.setattr(description, "folder", lambda: made.parent)

    assert description.find("tiny") == made
    assert description.find(str(made)) == made
    with pytest.raises(BundleError, match="one of: tiny"):
        description.find("huge")
