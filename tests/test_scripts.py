"""The scripts where they cannot do what they are asked: one clear line, and nothing changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PYTHON = """
case "$1" in
    -c) echo 3.12.9 ;;
    *) mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "$@" >>asked ;;
esac
"""
"""A stand-in that writes down what it is asked for: venv, then pip."""

FAILING_PIP = """
case "$1$2" in
    -c*) echo 3.12.9 ;;
    -mpip) exit 1 ;;
    *) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the scripts look at."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of stand-ins that come first in PATH; every Debian package seems installed."""
    folder = tmp_path / "tools"
    folder.mkdir()
    stand_in(folder, "dpkg-query", "echo 'install ok installed'")
    stand_in(folder, "apt-get", "exit 1")
    return folder


def stand_in(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)


def call(
    script: Path, *arguments: str, tools: Path, **environ: str
) -> subprocess.CompletedProcess[str]:
    path = f"{tools}:{os.environ['PATH']}"
    return subprocess.run(
        [script, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, **environ},
    )  # fmt: skip


def test_an_unsuitable_python_is_named(checkout: Path, tools: Path) -> None:
    stand_in(tools, "python-old", "echo 3.9.2")
    done = call(checkout / "scripts/setup", tools=tools, PYTHON="python-old")

    assert done.returncode == 1
    assert "found no Python 3.11, 3.12 or 3.13 as python-old" in done.stderr
    assert not (checkout / ".venv").exists()


def test_what_apt_cannot_install_is_listed_and_setup_goes_on(checkout: Path, tools: Path) -> None:
    stand_in(tools, "dpkg-query", "exit 1")
    stand_in(tools, "sudo", "exit 1")
    stand_in(tools, "id", "echo 1000")
    done = call(checkout / "scripts/setup", "system", tools=tools)

    assert done.returncode == 0
    assert "apt-get install --no-install-recommends python3-venv libportaudio2" in done.stderr


@pytest.mark.parametrize(("status", "heard"), [(0, False), (100, True)])
def test_apt_is_heard_only_where_it_fails(
    checkout: Path, tools: Path, status: int, *, heard: bool
) -> None:
    stand_in(tools, "dpkg-query", "exit 1")
    stand_in(tools, "id", "echo 0")
    stand_in(tools, "install", "cat >/dev/null")
    stand_in(tools, "apt-get", f"seq 20; echo the last word; exit {status}")
    done = call(checkout / "scripts/setup", "system", tools=tools)

    assert done.returncode == 0
    assert "setup: installing python3-venv" in done.stderr
    assert ("the last word\nsetup: going on without" in done.stderr) == heard
    assert "\n10\n" not in done.stderr


def test_a_second_setup_finds_everything_done(checkout: Path, tools: Path) -> None:
    stand_in(tools, "python-new", PYTHON)
    for _ in range(2):
        done = call(checkout / "scripts/setup", tools=tools, PYTHON="python-new")
        assert done.returncode == 0, done.stderr

    asked = (checkout / "asked").read_text().splitlines()
    assert [line.split()[1] for line in asked] == ["venv", "pip"]
    assert done.stderr == ""


def test_a_changed_dependency_is_installed(checkout: Path, tools: Path) -> None:
    stand_in(tools, "python-new", PYTHON)
    call(checkout / "scripts/setup", tools=tools, PYTHON="python-new")
    with (checkout / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    call(checkout / "scripts/setup", tools=tools, PYTHON="python-new")

    assert [line.split()[1] for line in (checkout / "asked").read_text().splitlines()] == [
        "venv", "pip", "pip",
    ]  # fmt: skip


def test_pip_that_fails_is_not_taken_for_done(checkout: Path, tools: Path) -> None:
    stand_in(tools, "python-new", FAILING_PIP)
    for _ in range(2):
        done = call(checkout / "scripts/setup", tools=tools, PYTHON="python-new")
        assert done.returncode == 1
        assert "check the network and run this again" in done.stderr


def test_an_environment_without_pip_is_made_anew(checkout: Path, tools: Path) -> None:
    stand_in(tools, "python-new", PYTHON)
    left = checkout / ".venv/bin"
    left.mkdir(parents=True)
    stand_in(left, "python", """case "$2" in *pip*) exit 1 ;; *) echo 3.12.9 ;; esac""")
    done = call(checkout / "scripts/setup", tools=tools, PYTHON="python-new")

    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in (checkout / "asked").read_text().splitlines()] == [
        "venv", "pip",
    ]  # fmt: skip


def test_the_service_is_not_installed_by_just_anybody(checkout: Path, tools: Path) -> None:
    stand_in(tools, "id", "echo 1000")
    done = call(checkout / "scripts/install-service", tools=tools)
    assert done.returncode == 1
    assert "run it as root" in done.stderr


def test_the_service_refuses_a_python_that_its_user_cannot_read(
    checkout: Path, tools: Path
) -> None:
    stand_in(tools, "id", "echo 0")
    stand_in(tools, "python-at-home", "echo 3.12 /home/somebody/python")
    done = call(checkout / "scripts/install-service", tools=tools, PYTHON="python-at-home")
    assert done.returncode == 1
    assert "/home/somebody/python, which the service's user cannot read" in done.stderr


def test_an_unknown_option_changes_nothing(checkout: Path, tools: Path) -> None:
    stand_in(tools, "id", "echo 0")
    done = call(checkout / "scripts/install-service", "--nonsense", tools=tools)
    assert done.returncode == 1
    assert "--nonsense is no option" in done.stderr
