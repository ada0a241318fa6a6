"""The benchmarks of journal, replay and hostile company, made short: they fail by themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_a_subscriber_that_stalls_and_dies_ends_with_every_label_once() -> None:
    told = run("replay.py", "--messages", "20000", "--rate", "10000", "--seed", "1")

    assert "20000 labels, 0 gaps" in told


@pytest.mark.timeout(120)
def test_a_daemon_that_is_killed_leaves_a_whole_journal() -> None:
    assert "killed 2 times" in run("kill.py", "--times", "2")


@pytest.mark.rig
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("broker")  # skips where there is no mosquitto
def test_in_hostile_company_every_label_comes_and_everything_recovers(
    light_model: tuple[str, ...],
) -> None:
    """Nothing is claimed of how late they come: this machine may be busy."""
    told = run("hostile.py", "--seconds", "2", *light_model)

    assert "every label came" in told
    assert "bad requests answered" in told
