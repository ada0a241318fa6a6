"""``rtclassify classify FOLDER``: whatever ends it, nothing is lost and nothing done twice."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections import Counter
from pathlib import Path

from archives import alive, archive, children, labels, manifest, tree, until
from test_cli import ENVIRONMENT, command, complaints

from rtclassify.errors import SinkError, UsageError


def test_killed_at_any_moment_it_goes_on_and_does_nothing_twice(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    names = [f"{number % 3}/{number}.wav" for number in range(24)]
    archive(tmp_path / "in", *names, seconds=30.0)
    order = command("classify", tmp_path / "in", "-o", tmp_path / "out", *light_model)
    with subprocess.Popen(
        [*order, "--jobs", "2"], env=ENVIRONMENT, stderr=subprocess.PIPE
    ) as first:
        until(lambda: len(manifest(tmp_path / "out")) >= 5)
        workers = children(first.pid)
        first.kill()
        first.wait()
        until(lambda: not any(map(alive, workers)))
    kept = {line["labels"] for line in manifest(tmp_path / "out")}
    before = tree(tmp_path / "out")
    assert len(kept) < len(names)

    done = subprocess.run(order, env=ENVIRONMENT, capture_output=True, text=True, check=True)

    assert f"{24 - len(kept)} labelled, {len(kept)} were before" in done.stderr
    assert Counter(line["labels"] for line in manifest(tmp_path / "out")) == Counter(labels(*names))
    after = tree(tmp_path / "out")
    assert set(after) == labels(*names)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert all((tmp_path / "out" / name).read_text().count("\n") == 60 for name in after)
    assert not (tmp_path / "out" / ".unfinished").exists()


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
    assert sentence.startswith("8 labelled, 1 left for the next run: 0.1 hours")
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
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    archive(tmp_path / "in", "a.wav", seconds=600.0)

    done = subprocess.run(
        command("classify", tmp_path / "in", "-o", tmp_path / "out", *light_model),
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, 64_000)),
    )  # fmt: skip

    assert done.returncode == SinkError.exit_code
    (sentence,) = complaints(done.stderr)
    assert "cannot be written" in sentence
    assert "File too large; make room there" in sentence
    assert tree(tmp_path / "out") == {}
