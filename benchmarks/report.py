"""How long `rtclassify report` and `export` take for a day of one channel, and in what memory.

Makes a journal of one hour and one of a day (172,800 final labels, as many provisional ones, a
heartbeat a second), and reports both.

    python benchmarks/report.py
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from journals import MIDNIGHT, Script

HOURS = (1, 24)
STRETCHES = (("speech", 75.0), ("music", 190.0), ("speech+music", 20.0), ("other", 15.0))
DAY = "2026-03-14"


def main() -> None:
    """Make the journals, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        for hours in HOURS:
            path = Path(folder) / f"{hours}.sqlite"
            # In another process: what this one holds would count as the next one's memory.
            maker = multiprocessing.get_context("spawn").Process(target=journal, args=(path, hours))
            maker.start()
            maker.join()
            page = str(path.with_suffix(".html"))
            measure(f"report of {hours} h", "report", str(path), "--day", DAY, "--html", page)
            measure(f"export of {hours} h", "export", str(path), "--day", DAY, "-f", "rttm")


def journal(path: Path, hours: int) -> None:
    """Write a journal that begins at midnight."""
    script = Script()
    length_s = sum(seconds for _, seconds in STRETCHES)
    script.programme(MIDNIGHT, STRETCHES * round(hours * 3600 / length_s))
    script.write(path)


def measure(what: str, *arguments: str) -> None:
    """Run the program and print what it took."""
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-m", "rtclassify", *arguments], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(program.pid, 0)
    took_s = time.monotonic() - began
    if status:
        raise SystemExit(f"{what} failed")
    cpu_s = used.ru_utime + used.ru_stime
    print(f"{what}: {took_s:.1f} s, {cpu_s:.1f} s of the core, {used.ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()
