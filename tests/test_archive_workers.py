"""Workers of an archive: each unit is done once, whoever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from archive_work import killed_early, ready, tries, unit, unready
from archives import alive, until

from rtclassify.archive.units import Outcome
from rtclassify.archive.workers import outcomes
from rtclassify.errors import BundleError, SinkError, WorkerError


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
