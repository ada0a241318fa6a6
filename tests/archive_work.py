"""Work for the tests of workers: what a unit does is written in its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rtclassify.archive.units import Outcome, Unit
from rtclassify.errors import BundleError, SinkError


def unit(name: str) -> Unit:
    return Unit(name, 1, 1)


def ready(folder: Path) -> Callable[[Unit], Outcome]:
    """Make a worker ready that leaves a file in `folder` each time it takes a unit in hand."""
    return partial(work, folder)


def work(folder: Path, unit: Unit) -> Outcome:
    begun = tries(folder, unit)
    (folder / f"{unit.name} {begun} {os.getpid()}").touch()
    match unit.name.split()[0]:
        case "lethal":
            os.kill(os.getpid(), signal.SIGKILL)
        case "unlucky" if begun == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        case "defect":
            raise ValueError(unit.name)
        case "refused":
            raise SinkError("The disk is full.")
        case "slow":
            time.sleep(0.1)
        case "endless":
            time.sleep(600)
    return Outcome(float(len(unit.name)))


def tries(folder: Path, unit: Unit) -> int:
    return len(list(folder.glob(f"{unit.name} *")))


def unready() -> Callable[[Unit], Outcome]:
    raise BundleError("There is no model.")


def killed_early() -> Callable[[Unit], Outcome]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
