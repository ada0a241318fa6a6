"""What every test run shares: the rigs, and a loud account of what was skipped."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["rigs.pulse", "rigs.jack", "rigs.icecast", "rigs.mosquitto"]

ALLOWED_IN_CI = ("needs root",)
"""How the reasons begin for which a test on a rig may be skipped where everything is installed."""

_skipped: Counter[str] = Counter()
_missing_rigs: list[str] = []


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start, even where the suite runs unattended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """Yield a folder in memory, for journals by the hundred: each commit waits for a disk."""
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the system's own
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model that loads and answers as a trained one does; its window is a second."""
    from test_engine import untrained

    return untrained(tmp_path_factory.mktemp("bundles") / "tiny", window=16_000)


@pytest.fixture(scope="session")
def light_model(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options for the same on the light runtime, which starts in a fraction of the time."""
    from rtclassify import bundle, conversion

    path = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("light") / "tiny")
    conversion.export(bundle.read(path))
    return ("--model", str(path), "--runtime", "litert")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    _skipped[reason] += 1
    if "rig" in report.keywords and not reason.startswith(ALLOWED_IN_CI):
        _missing_rigs.append(report.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _missing_rigs and os.environ.get("CI") == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        reasons = "; ".join(f"{count}x {reason}" for reason, count in _skipped.most_common())
        terminalreporter.write_line(f"SKIPPED {_skipped.total()}: {reasons}", yellow=True)
    if _missing_rigs and os.environ.get("CI") == "true":
        tests = ", ".join(_missing_rigs)
        terminalreporter.write_line(f"A rig is missing, which CI does not allow: {tests}", red=True)
