"""Archives: what is found in a folder, and what a manifest remembers."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from archive_work import unit
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.archive.manifest import Manifest
from rtclassify.archive.units import Outcome, Unit, find
from rtclassify.errors import UsageError

MADE = {"folder": "/archive", "model": "tiny@0"}


def test_recordings_are_found_by_name_in_any_depth(tmp_path: Path) -> None:
    wanted = ["a.wav", "b.FLAC", "deep/down/c.mp3", "deep/d [1].ogg"]
    left_out = [".hidden.wav", ".trash/e.wav", "notes.txt", "a.wav.jsonl", "wav"]
    for name in (*wanted, *left_out):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")

    units, refused = find(tmp_path)

    assert [unit.name for unit in units] == sorted([*wanted, "link.wav"])
    assert [unit.size for unit in units if unit.name == "deep/down/c.mp3"] == [15]
    assert refused == []


def test_what_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")

    units, refused = find(tmp_path)

    assert units == []
    assert [(error.filename, error.strerror) for error in refused] == [
        (str(tmp_path / "gone.wav"), "No such file or directory")
    ]


def manifest(output: Path, made: dict[str, Any] = MADE) -> Manifest:
    return Manifest(output, made, ".csv")


names = (
    st.binary(min_size=1, max_size=20)
    .filter(lambda name: name not in {b".", b".."} and not {0, ord("/")} & set(name))
    .map(os.fsdecode)
)
entries = st.lists(st.tuples(names, st.booleans()), max_size=8)


@settings(deadline=None)
@given(entries=entries, later=entries, kept=st.floats(0, 1))
def test_after_any_kill_the_manifest_knows_just_the_whole_lines(
    tmp_path_factory: pytest.TempPathFactory,
    entries: Sequence[tuple[str, bool]],
    later: Sequence[tuple[str, bool]],
    kept: float,
) -> None:
    output = tmp_path_factory.mktemp("labels")
    for name, _ in (*entries, *later):
        (output / f"{name}.csv").touch()
    write(output, entries)
    file = output / "manifest.jsonl"
    os.truncate(file, round(kept * file.stat().st_size))
    whole = max(0, file.read_bytes().count(b"\n") - 1)

    write(output, later)

    expected = dict([*entries[:whole], *later])
    with manifest(output) as opened:
        assert {name: opened.is_done(unit(name)) for name, _ in (*entries, *later)} == {
            name: expected.get(name, False) for name, _ in (*entries, *later)
        }
    said = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["name"] for line in said[1:]] == [n for n, _ in (*entries[:whole], *later)]


def write(output: Path, entries: Sequence[tuple[str, bool]]) -> None:
    with manifest(output) as opened:
        for name, good in entries:
            opened.add(unit(name), Outcome(1.0) if good else Outcome(error="Broken."))


def test_a_name_that_is_not_unicode_is_remembered(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    (tmp_path / f"{name}.csv").touch()

    write(tmp_path, [(name, True)])

    with manifest(tmp_path) as opened:
        assert opened.is_done(unit(name))


@pytest.mark.parametrize("changed", [Unit("a.wav", 2, 1), Unit("a.wav", 1, 2)])
def test_what_has_changed_is_not_done(tmp_path: Path, changed: Unit) -> None:
    (tmp_path / "a.wav.csv").touch()
    write(tmp_path, [("a.wav", True)])

    with manifest(tmp_path) as opened:
        assert opened.is_done(unit("a.wav"))
        assert not opened.is_done(changed)


def test_what_lost_its_labels_is_not_done(tmp_path: Path) -> None:
    write(tmp_path, [("a.wav", True)])

    with manifest(tmp_path) as opened:
        assert not opened.is_done(unit("a.wav"))


def test_labels_of_another_model_are_refused_and_kept(tmp_path: Path) -> None:
    write(tmp_path, [("a.wav", True)])
    before = (tmp_path / "manifest.jsonl").read_bytes()

    other = manifest(tmp_path, {**MADE, "model": "large@1"})
    with pytest.raises(UsageError, match=r"whose model is tiny@0, and this run's is large@1"):
        other.__enter__()

    assert (tmp_path / "manifest.jsonl").read_bytes() == before


def test_a_manifest_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"audio": "a.wav"}\n')

    with pytest.raises(UsageError, match=r"manifest\.jsonl is not of rtclassify"):
        manifest(tmp_path).__enter__()

    assert (tmp_path / "manifest.jsonl").read_text() == '{"audio": "a.wav"}\n'


def test_an_open_manifest_keeps_others_away_until_it_closes(tmp_path: Path) -> None:
    with (
        manifest(tmp_path),
        pytest.raises(UsageError, match="Another run is writing"),
    ):
        manifest(tmp_path).__enter__()

    manifest(tmp_path).__enter__()
