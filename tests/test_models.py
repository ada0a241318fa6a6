"""`rtclassify models`: the good, the damaged, and none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_engine import untrained
from typer.testing import CliRunner

from rtclassify import description
from rtclassify.cli import app


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("made") / "speech-music")


@pytest.fixture
def models(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good model, and with it as the place where models are looked for."""
    folder = tmp_path / "models"
    shutil.copytree(made, folder / "speech-music")
    monkeypatch.setattr(description, "folder", lambda: folder)
    return folder


def listed() -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["models", "--json"])
    assert result.exit_code == 0
    models: list[dict[str, Any]] = json.loads(result.stdout)
    return models


def shown() -> str:
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["models"])
    assert result.exit_code == 0
    return result.stdout


def test_a_model_is_listed_with_what_its_bundle_says(models: Path) -> None:
    (entry,) = listed()
    said = description.describe(models / "speech-music")

    assert entry["labels"] == list(said.labels)
    assert entry["digest"] == said.digest
    assert entry["created"] == said.created
    assert entry["default"] is True
    assert (entry["rate"], entry["window_s"], entry["hop_s"]) == (16_000, 5.0, 0.5)
    assert entry["bytes"] == sum(f.stat().st_size for f in (models / "speech-music").iterdir())
    assert "error" not in entry


@pytest.mark.usefixtures("models")
def test_people_see_name_labels_window_size_and_day() -> None:
    text = shown()

    for word in ("speech-music", "default", "speech", "5 s every 0.5 s", "16,000 Hz", "MB"):
        assert word in text
    assert listed()[0]["created"][:10] in text


def test_scores_are_shown_as_shares_and_counts(models: Path) -> None:
    path = models / "speech-music" / "bundle.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"scores": {"windows_right": 0.97314, "windows": 5321}}))

    assert "windows right 97.3%   windows 5,321" in shown()


def test_damaged_models_are_listed_with_the_reason(models: Path) -> None:
    for name in ("flipped", "garbled", "headless"):
        shutil.copytree(models / "speech-music", models / name)
    network = models / "flipped" / "model.keras"
    network.write_bytes(network.read_bytes()[:-1] + b"?")
    (models / "garbled" / "bundle.json").write_text("{")
    (models / "headless" / "model.keras").unlink()

    reasons = {entry["name"]: entry.get("error", "") for entry in listed()}

    assert reasons["speech-music"] == ""
    assert "was changed or damaged" in reasons["flipped"]
    assert "cannot be read" in reasons["garbled"]
    assert "No such file" in reasons["headless"]
    assert "was changed or damaged" in " ".join(shown().split())


def test_an_empty_folder_says_how_to_make_a_model(models: Path) -> None:
    shutil.rmtree(models / "speech-music")

    assert listed() == []
    assert "rtclassify train" in shown()
