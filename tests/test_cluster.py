"""An archive on a Dask cluster: a real scheduler and workers, some of which are killed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from archive_work import ready, tries, unit
from archives import archive, labels, manifest, tree, until
from test_cli import ENVIRONMENT, command, complaints, in_process

from rtclassify.archive.cluster import outcomes
from rtclassify.archive.units import Outcome
from rtclassify.errors import DependencyError, SinkError, WorkerError

NAMES = [f"{number % 3}/{number}.wav" for number in range(30)]


@dataclass(frozen=True)
class Cluster:
    """A scheduler and three workers, each a process."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def dask(kind: str, *arguments: object, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{kind}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, arguments)],
            env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "dask"
    folder.mkdir()
    about = folder / "scheduler.json"
    with ExitStack() as running:
        options = ("--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--no-show")
        scheduler = running.enter_context(
            dask("scheduler", *options, "--scheduler-file", about, folder=folder)
        )
        until(lambda: about.exists() and about.read_text().endswith("}"))
        address = json.loads(about.read_text())["address"]
        lone = ("--nthreads", 1, "--no-nanny", "--no-dashboard")
        workers = [
            running.enter_context(dask("worker", address, *lone, folder=folder)) for _ in range(3)
        ]
        yield Cluster(address, scheduler, workers)


def test_a_worker_is_killed_and_the_others_label_everything_once(
    tmp_path: Path, light_model: tuple[str, ...], cluster: Cluster
) -> None:
    archive(tmp_path / "in", *NAMES, seconds=30.0)
    options = (*light_model, "--cluster", cluster.address)
    with subprocess.Popen(
        command("classify", tmp_path / "in", "-o", tmp_path / "out", *options),
        env=ENVIRONMENT, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        until(lambda: len(manifest(tmp_path / "out")) >= 3)
        cluster.workers[0].kill()
        assert len(manifest(tmp_path / "out")) < len(NAMES)

        assert process.stderr is not None
        (summary,) = complaints(process.stderr.read())

    assert process.returncode == 0
    assert summary.startswith("30 labelled: 0.2 hours")
    assert Counter(line["labels"] for line in manifest(tmp_path / "out")) == Counter(labels(*NAMES))
    assert set(tree(tmp_path / "out")) == labels(*NAMES)
    path = tmp_path / "in" / NAMES[-1]
    in_process("classify", path, *light_model, "-o", tmp_path / "alone")
    alone = (tmp_path / "alone").read_text().replace(str(path), NAMES[-1])
    assert (tmp_path / "out" / f"{NAMES[-1]}.jsonl").read_text() == alone


def done(cluster: Cluster, folder: Path, *names: str) -> dict[str, Outcome]:
    work = ready(folder)
    heard = list(outcomes([unit(name) for name in names], work, address=cluster.address, say=print))
    assert sorted(unit.name for unit, _ in heard) == sorted(names)
    return {unit.name: outcome for unit, outcome in heard}


def test_each_unit_is_done_once_and_those_that_fail_end_nothing(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtclassify.archive.cluster.IN_HAND", 5)
    names = ["defect", *(f"unit{number}" for number in range(30))]

    heard = done(cluster, tmp_path, *names)

    assert heard.pop("defect") == Outcome(
        error="defect cannot be labelled: ValueError('defect'), see its worker's log."
    )
    assert heard == {name: Outcome(float(len(name))) for name in names[1:]}
    assert [name for name in names if tries(tmp_path, unit(name)) != 1] == []


def test_an_error_that_concerns_all_ends_the_run(tmp_path: Path, cluster: Cluster) -> None:
    with pytest.raises(SinkError, match=r"The disk is full\."):
        done(cluster, tmp_path, "one", "refused", "two")


def test_workers_that_lack_the_program_are_told_of(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def work(unit): ...")
    monkeypatch.syspath_prepend(tmp_path)
    work = importlib.import_module("only_here").work

    with pytest.raises(WorkerError, match=r"No module named 'only_here'\); install this rtclass"):
        list(outcomes([unit("one")], work, address=cluster.address, say=print))


def test_a_scheduler_that_dies_ends_the_run_with_one_sentence(
    tmp_path: Path, cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    units = [unit(f"slow {number}") for number in range(100)]
    heard = outcomes(units, ready(tmp_path), address=cluster.address, say=print)
    next(heard)

    cluster.scheduler.kill()

    with pytest.raises(WorkerError, match=f"The cluster at {cluster.address} is gone; start it"):
        list(heard)
    assert capfd.readouterr().err == ""


def test_a_scheduler_that_is_not_there_is_said_in_one_sentence(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    archive(tmp_path / "in", "a.wav")
    options = (*light_model, "--cluster", "tcp://127.0.0.1:9")
    impatient = (
        "from rtclassify.archive import cluster; cluster.CONNECT_S = 0.5;"
        "from rtclassify.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", impatient, "classify", tmp_path / "in", "-o", tmp_path / "out",
         *options],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == WorkerError.exit_code
    (sentence,) = complaints(done.stderr)
    assert sentence.startswith("No Dask scheduler answers at tcp://127.0.0.1:9")


def test_without_dask_the_extra_is_named(tmp_path: Path, light_model: tuple[str, ...]) -> None:
    archive(tmp_path / "in", "a.wav")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "distributed.py").write_text("raise ModuleNotFoundError")
    paths = os.pathsep.join([str(tmp_path / "hidden"), *filter(None, sys.path)])
    options = (*light_model, "--cluster", "tcp://127.0.0.1:9")

    done = subprocess.run(
        command("classify", tmp_path / "in", "-o", tmp_path / "out", *options),
        env=ENVIRONMENT | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == DependencyError.exit_code
    assert "pip install 'rtclassify[cluster]'" in complaints(done.stderr)[0]
