"""``rtclassify classify FOLDER``: kill it, run it again, and nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from test_archive import alive, until
from test_cli import ENVIRONMENT, command, complaints, in_process, run, wav

from rtclassify.cli.formats import FORMATS
from rtclassify.errors import SinkError, SourceError, UsageError

NAMES = ["a.wav", "a.flac", "deep/b.wav", "deep/down/ü [c].wav"]


def archive(folder: Path, *names: str, seconds: float = 7.0) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(0.0, 0.1, round(seconds * 16_000))
        soundfile.write(folder / name, noise, 16_000)
    return folder


def manifest(output: Path) -> list[dict[str, Any]]:
    """Return what the manifest says of recordings."""
    file = output / "manifest.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines[1:]]


def tree(output: Path) -> dict[str, tuple[int, int]]:
    """Return the files of labels, each with what changes when it is written again."""
    files = [
        path for path in output.rglob("*") if path.is_file() and path.parent.name != ".unfinished"
    ]
    told = {str(path.relative_to(output)): path.stat() for path in files}
    return {n: (s.st_ino, s.st_mtime_ns) for n, s in told.items() if n != "manifest.jsonl"}


def labels(*names: str, suffix: str = ".jsonl") -> set[str]:
    return {f"{name}{suffix}" for name in names}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A folder whose recordings are labelled, but for one that is none."""
    place = tmp_path_factory.mktemp("labelled")
    archive(place / "in", *NAMES)
    (place / "in" / "deep" / "text.mp3").write_text("no audio")
    whole = (place / "in" / "a.wav").read_bytes()
    (place / "in" / "cut.wav").write_bytes(whole[: len(whole) * 6 // 7])

    done = run("classify", place / "in", "-o", place / "out", "--model", tiny_bundle)

    assert (done.returncode, done.stdout) == (SourceError.exit_code, "")
    cut, text, summary = complaints(done.stderr)
    assert cut.startswith(f"{place}/in/cut.wav is damaged or cut short")
    assert text.startswith(f"{place}/in/deep/text.mp3 cannot be played")
    assert summary.startswith("5 recordings labelled, 1 could not be: 0.0 hours, ")
    return place


def test_each_recording_gets_a_file_of_its_labels_in_a_tree_of_the_same_shape(
    labelled: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    assert set(tree(labelled / "out")) == labels(*NAMES, "cut.wav")
    for name in NAMES:
        alone = tmp_path / "alone.jsonl"
        in_process("classify", labelled / "in" / name, "--model", tiny_bundle, "-o", alone)
        said = [json.loads(line) for line in alone.read_text().splitlines()]
        here = [
            json.loads(s) for s in (labelled / "out" / f"{name}.jsonl").read_text().splitlines()
        ]
        assert [line["end_s"] for line in here] == [hop / 2 for hop in range(1, 15)]
        assert here == [{**line, "path": name} for line in said]


def test_the_manifest_says_what_became_of_each_recording(labelled: Path) -> None:
    said = {line["name"]: line for line in manifest(labelled / "out")}

    assert set(said) == {*NAMES, "cut.wav", "deep/text.mp3"}
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
    labelled: Path, tiny_bundle: Path, tmp_path: Path
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
    (tmp_path / "out" / "a.flac.jsonl").unlink()

    done = run("classify", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_bundle)

    assert done.returncode == 0
    assert complaints(done.stderr)[0].startswith("3 before, 4 recordings labelled: 0.0 hours")
    after = tree(tmp_path / "out")
    anew = labels("deep/b.wav", "deep/text.mp3", "new.wav", "a.flac")
    assert {name for name in after if after[name] != before.get(name)} == anew
    assert len(manifest(tmp_path / "out")) == 6 + 4


@pytest.mark.parametrize(
    ("options", "what"),
    [(("-f", "csv"), "format"), (("--hop", "0.4"), "hop"), (("--model", "speech-music"), "model")],
)
def test_labels_made_otherwise_are_refused_and_kept(
    labelled: Path, tiny_bundle: Path, options: tuple[str, ...], what: str
) -> None:
    before = tree(labelled / "out")

    done = run(
        "classify", labelled / "in", "-o", labelled / "out", "--model", tiny_bundle, *options
    )

    assert done.returncode == UsageError.exit_code
    (sentence,) = complaints(done.stderr)
    assert f"has labels whose {what} is" in sentence
    assert tree(labelled / "out") == before


def test_labels_of_another_folder_are_refused(labelled: Path, tiny_bundle: Path) -> None:
    done = run("classify", labelled / "in" / "deep", "-o", labelled / "out", "--model", tiny_bundle)

    assert done.returncode == UsageError.exit_code
    assert "has labels whose folder is" in complaints(done.stderr)[0]


def test_killed_at_any_moment_it_goes_on_and_does_nothing_twice(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    names = [f"{number % 3}/{number}.wav" for number in range(24)]
    archive(tmp_path / "in", *names, seconds=30.0)
    order = command(
        "classify", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_bundle, "--jobs", 2
    )
    with subprocess.Popen(order, env=ENVIRONMENT, stderr=subprocess.PIPE) as first:
        until(lambda: len(manifest(tmp_path / "out")) >= 5)
        workers = children(first.pid)
        first.kill()
        first.wait()
        until(lambda: not any(map(alive, workers)))
    kept = {line["labels"] for line in manifest(tmp_path / "out")}
    before = tree(tmp_path / "out")
    assert len(kept) < len(names)

    done = subprocess.run(order, env=ENVIRONMENT, capture_output=True, text=True, check=True)

    assert f"{len(kept)} before, {24 - len(kept)} recordings labelled" in done.stderr
    assert Counter(line["labels"] for line in manifest(tmp_path / "out")) == Counter(labels(*names))
    after = tree(tmp_path / "out")
    assert set(after) == labels(*names)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert all((tmp_path / "out" / name).read_text().count("\n") == 60 for name in after)
    assert not (tmp_path / "out" / ".unfinished").exists()


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_while_it_runs_others_are_refused_and_ctrl_c_ends_it_cleanly(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    archive(tmp_path / "in", *(f"{number}.wav" for number in range(8)), seconds=60.0)
    archive(tmp_path / "in", "long.wav", seconds=3_600.0)
    order = command("classify", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_bundle)
    with subprocess.Popen(
        order, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as first:
        until(lambda: len(manifest(tmp_path / "out")) >= 8)

        second = subprocess.run(order, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        os.killpg(first.pid, signal.SIGINT)
        first.wait(20)

        assert first.stderr is not None
        (sentence,) = complaints(first.stderr.read())
    assert first.returncode == 130
    assert sentence.startswith("8 recordings labelled, 1 are left for the next run: 0.1 hours")
    assert set(tree(tmp_path / "out")) == labels(*(f"{number}.wav" for number in range(8)))
    assert not (tmp_path / "out" / ".unfinished").exists()
    assert second.returncode == UsageError.exit_code
    assert "Another run is writing to" in complaints(second.stderr)[0]


def test_ctrl_c_while_the_model_loads_says_nothing(tmp_path: Path, tiny_bundle: Path) -> None:
    archive(tmp_path / "in", "a.wav")
    order = command("classify", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_bundle)
    with subprocess.Popen(
        order, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        until(lambda: len(children(process.pid)) == 2)

        os.killpg(process.pid, signal.SIGINT)

        assert process.stderr is not None
        assert (process.wait(20), process.stderr.read()) == (130, b"")


def test_a_disk_that_takes_no_more_ends_the_run_with_one_sentence(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    archive(tmp_path / "in", "a.wav", seconds=600.0)

    done = subprocess.run(
        command("classify", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_bundle),
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, 64_000)),
    )  # fmt: skip

    assert done.returncode == SinkError.exit_code
    (sentence,) = complaints(done.stderr)
    assert "cannot be written" in sentence
    assert "File too large; make room there" in sentence
    assert tree(tmp_path / "out") == {}


def test_an_output_that_cannot_be_a_folder_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    archive(tmp_path / "in", "a.wav")

    done = run("classify", tmp_path / "in", "-o", tmp_path / "in" / "a.wav", "--model", tiny_bundle)

    assert done.returncode == SinkError.exit_code
    assert "File exists" in complaints(done.stderr)[0]


def test_a_folder_without_recordings_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    done = run("classify", tmp_path, "-o", tmp_path / "out", "--model", tiny_bundle)

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
