"""Archives: what is found in a folder, what a manifest remembers, and workers that die."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from archive_work import killed_early, ready, tries, unit, unready
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.archive.manifest import Manifest
from rtclassify.archive.units import Outcome, Unit, find
from rtclassify.archive.workers import outcomes
from rtclassify.errors import BundleError, SinkError, UsageError, WorkerError

MADE = {"folder": "/archive", "model": "tiny@0"}
PATIENCE_S = 60.0


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


names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
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


def done(folder: Path, *names: str, jobs: int = 2) -> dict[str, Outcome]:
    """Work units off; each must have one outcome, and no worker must be left."""
    heard = list(outcomes([unit(name) for name in names], partial(ready, folder), jobs=jobs))
    assert sorted(unit.name for unit, _ in heard) == sorted(names)
    assert multiprocessing.active_children() == []
    return {unit.name: outcome for unit, outcome in heard}


@pytest.mark.parametrize(("units", "jobs"), [(0, 2), (1, 3), (20, 1), (20, 3)])
def test_every_unit_is_done_once_by_as_many_workers_as_were_asked_for(
    tmp_path: Path, units: int, jobs: int
) -> None:
    names = [f"unit{number}" for number in range(units)]

    heard = done(tmp_path, *names, jobs=jobs)

    assert heard == {name: Outcome(float(len(name))) for name in names}
    assert [name for name in names if tries(tmp_path, unit(name)) != 1] == []
    assert len({file.name.split()[-1] for file in tmp_path.iterdir()}) <= min(units, jobs)


def test_a_unit_whose_worker_was_killed_is_done_by_another(tmp_path: Path) -> None:
    names = ["one", "unlucky", "two", "three"]

    assert done(tmp_path, *names) == {name: Outcome(float(len(name))) for name in names}
    assert [tries(tmp_path, unit(name)) for name in names] == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("name", "cause"), [("lethal", "was killed by SIGKILL"), ("defect", "ended with exit code 1")]
)
def test_a_unit_that_ends_two_workers_is_given_up_and_the_others_are_done(
    tmp_path: Path, name: str, cause: str
) -> None:
    heard = done(tmp_path, name, "one", "two", jobs=1)

    assert heard.pop(name) == Outcome(
        error=f"{name} cannot be labelled: its worker {cause}, twice."
    )
    assert heard == {"one": Outcome(3.0), "two": Outcome(3.0)}
    assert tries(tmp_path, unit(name)) == 2


def test_an_error_that_concerns_all_ends_the_workers(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"The disk is full\."):
        done(tmp_path, "endless", "refused", "one")

    assert multiprocessing.active_children() == []


def test_a_worker_that_cannot_get_ready_says_why() -> None:
    with pytest.raises(BundleError, match=r"There is no model\."):
        list(outcomes([unit("one")], unready, jobs=1))


def test_a_worker_that_dies_before_it_is_ready_ends_the_run() -> None:
    with pytest.raises(
        WorkerError, match=r"killed by SIGKILL before it was ready; .* fewer --jobs"
    ):
        list(outcomes([unit("one")], killed_early, jobs=1))


def test_closing_ends_workers_whatever_they_do(tmp_path: Path) -> None:
    heard = outcomes([unit("one"), unit("endless")], partial(ready, tmp_path), jobs=2)
    assert next(heard) == (unit("one"), Outcome(3.0))

    heard.close()

    assert multiprocessing.active_children() == []


PARENT = """
import sys
from functools import partial
from pathlib import Path
from archive_work import ready, unit
from rtclassify.archive.workers import outcomes
if __name__ == "__main__":
    units = [unit("endless a"), unit("endless b")]
    list(outcomes(units, partial(ready, Path(sys.argv[1])), jobs=2))
"""


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    busy = tmp_path / "busy"
    busy.mkdir()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", busy], env=environment, stderr=subprocess.PIPE
    ) as parent:
        until(lambda: len(list(busy.iterdir())) == 2)
        workers = [int(file.name.split()[-1]) for file in busy.iterdir()]

        parent.send_signal(signal.SIGKILL)

        until(lambda: not any(map(alive, workers)))
        assert parent.stderr is not None
        assert parent.stderr.read() == b""


def until(claim: Any) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
