"""``rtclassify classify FOLDER``: a tree of recordings becomes a tree of labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from archives import archive, labels, manifest, tree
from test_cli import complaints, in_process, run, wav

from rtclassify.cli.formats import FORMATS
from rtclassify.errors import SinkError, SourceError, UsageError

LONG = f"{'long' * 62}.wav"
NAMES = ["a.wav", "a.flac", "deep/b.wav", "deep/down/ü [c].wav"]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, light_model: tuple[str, ...]) -> Path:
    """A folder whose recordings are labelled, but for two that cannot be."""
    place = tmp_path_factory.mktemp("labelled")
    archive(place / "in", *NAMES)
    (place / "in" / "deep" / "text.mp3").write_text("no audio")
    whole = (place / "in" / "a.wav").read_bytes()
    (place / "in" / "cut.wav").write_bytes(whole[: len(whole) * 6 // 7])
    (place / "in" / LONG).write_bytes(whole)

    done = run(
        "classify",
        place / "in",
        "-o",
        place / "out",
        *light_model,
    )

    assert (done.returncode, done.stdout) == (SourceError.exit_code, "")
    cut, text, long, summary = complaints(done.stderr)
    assert cut.startswith(f"{place}/in/cut.wav is damaged or cut short")
    assert text.startswith(f"{place}/in/deep/text.mp3 cannot be played")
    assert long == f"{LONG} has too long a name for its labels; shorten it."
    assert summary.startswith("5 labelled, 2 could not be: 0.0 hours, ")
    return place


def test_each_recording_gets_a_file_of_its_labels_in_a_tree_of_the_same_shape(
    labelled: Path, light_model: tuple[str, ...], tmp_path: Path
) -> None:
    assert set(tree(labelled / "out")) == labels(*NAMES, "cut.wav")
    for name in NAMES[:2]:
        alone = tmp_path / "alone.jsonl"
        in_process(
            "classify",
            labelled / "in" / name,
            *light_model,
            "-o",
            alone,
        )
        said = [json.loads(line) for line in alone.read_text().splitlines()]
        here = [
            json.loads(s) for s in (labelled / "out" / f"{name}.jsonl").read_text().splitlines()
        ]
        assert [line["end_s"] for line in here] == [hop / 2 for hop in range(1, 15)]
        assert here == [{**line, "path": name} for line in said]


def test_the_manifest_says_what_became_of_each_recording(labelled: Path) -> None:
    said = {line["name"]: line for line in manifest(labelled / "out")}

    assert set(said) == {*NAMES, "cut.wav", "deep/text.mp3", LONG}
    size = (labelled / "in" / "a.flac").stat().st_size
    good = {key: said["a.flac"][key] for key in ("size", "labels", "seconds", "error", "warnings")}
    assert good == {
        "size": size, "labels": "a.flac.jsonl", "seconds": 7.0, "error": None, "warnings": [],
    }  # fmt: skip
    assert said["deep/text.mp3"]["labels"] is None
    assert "cannot be played" in said["deep/text.mp3"]["error"]
    assert said["cut.wav"]["seconds"] == pytest.approx(6.0, abs=0.01)
    assert "damaged or cut short" in said["cut.wav"]["warnings"][0]


def test_of_an_archive_that_moved_only_what_changed_is_labelled(
    labelled: Path, light_model: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copytree(labelled, tmp_path, dirs_exist_ok=True)
    moved = (
        (tmp_path / "out" / "manifest.jsonl")
        .read_text()
        .replace(f"{labelled}/in", f"{tmp_path}/in", 1)
    )
    (tmp_path / "out" / "manifest.jsonl").write_text(moved)
    before = tree(tmp_path / "out")
    wav(tmp_path / "in" / "deep" / "b.wav", 9.0)
    wav(tmp_path / "in" / "deep" / "text.mp3", 6.0)
    archive(tmp_path / "in", "new.wav")
    (tmp_path / "in" / LONG).unlink()
    (tmp_path / "out" / "a.flac.jsonl").unlink()

    done = run(
        "classify",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        *light_model,
    )

    assert done.returncode == 0
    assert complaints(done.stderr)[0].startswith("4 labelled, 3 were before: 0.0 hours")
    after = tree(tmp_path / "out")
    anew = labels("deep/b.wav", "deep/text.mp3", "new.wav", "a.flac")
    assert {name for name in after if after[name] != before.get(name)} == anew
    assert len(manifest(tmp_path / "out")) == 7 + 4


@pytest.mark.parametrize(
    ("options", "what"),
    [(("-f", "csv"), "format"), (("--hop", "0.4"), "hop"), (("--model", "speech-music"), "model")],
)
def test_labels_made_otherwise_are_refused_and_kept(
    labelled: Path, light_model: tuple[str, ...], options: tuple[str, ...], what: str
) -> None:
    before = tree(labelled / "out")

    done = run(
        "classify",
        labelled / "in",
        "-o",
        labelled / "out",
        *light_model,
        *options,
    )

    assert done.returncode == UsageError.exit_code
    (sentence,) = complaints(done.stderr)
    assert f"has labels whose {what} is" in sentence
    assert tree(labelled / "out") == before


def test_labels_of_another_folder_are_refused(labelled: Path, light_model: tuple[str, ...]) -> None:
    done = run(
        "classify",
        labelled / "in" / "deep",
        "-o",
        labelled / "out",
        *light_model,
    )

    assert done.returncode == UsageError.exit_code
    assert "has labels whose folder is" in complaints(done.stderr)[0]


def test_an_output_that_cannot_be_a_folder_is_refused(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    archive(tmp_path / "in", "a.wav")

    done = run(
        "classify",
        tmp_path / "in",
        "-o",
        tmp_path / "in" / "a.wav",
        *light_model,
    )

    assert done.returncode == SinkError.exit_code
    assert "File exists" in complaints(done.stderr)[0]


def test_a_folder_without_recordings_is_refused(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    done = run("classify", tmp_path, "-o", tmp_path / "out", *light_model)

    assert done.returncode == SourceError.exit_code
    assert complaints(done.stderr) == [f"{tmp_path} holds no recordings; name a folder that does."]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((".",), "say with --output"),
        ((".", "-o", "out", "--jobs", "2", "--cluster", "tcp://h:1"), "exclude each other"),
        (("a.wav", "--jobs", "2"), "name one, alone"),
        ((".", ".", "--cluster", "tcp://h:1"), "name one, alone"),
    ],
)
def test_half_an_order_is_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("classify", *arguments, cwd=tmp_path)

    assert done.returncode == UsageError.exit_code
    assert words in complaints(done.stderr)[0]
    assert list(tmp_path.iterdir()) == []


def test_formats_are_told_apart_by_what_their_files_are_called() -> None:
    suffixes = {name: form.suffix for name, form in FORMATS.items()}

    assert suffixes.pop("table") == suffixes.pop("audacity") == ".txt"
    assert len(set(suffixes.values())) == len(suffixes)
