"""How fast ``rtclassify classify FOLDER`` is, and what a second job gains.

Makes an archive of 16-bit mono WAVs at 16 kHz in a temporary folder: a few recordings of tones,
bursts and noise under many names, as hard links. Each number of jobs labels it into a folder of
its own. What an archive of a single recording takes is start-up and left out of the speed, which
is counted in seconds of a core, so that a busy machine does not blur it. Jobs are compared by the
clock: for that the machine must be idle. Ends badly if a recording is missing.

    python benchmarks/archive.py [--files 1000] [--seconds 60] [--jobs 1 2] [--model NAME]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from classify_speed import RATE, Cost, programme

DISTINCT = 20
A_FOLDER = 100


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=60.0, help="the length of each")
    options.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    options.add_argument("--model", default="speech-music")
    options.add_argument("--folder", default=None, help="where the archive is made")
    chosen = options.parse_args()
    took_s = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        one = make_archive(Path(folder) / "one", 1, chosen.seconds)
        many = make_archive(Path(folder) / "many", chosen.files, chosen.seconds)
        print("jobs  wall s  core s  files/s  times real time  on one core")
        for jobs in chosen.jobs:
            start_up = label(one, 1, jobs, chosen.model)
            cost = label(many, chosen.files, jobs, chosen.model)
            # Each job starts up: one of them for the archive of a single recording.
            wall_s, core_s = cost.wall_s - start_up.wall_s, cost.core_s - jobs * start_up.core_s
            audio_s = chosen.files * chosen.seconds
            print(
                f"{jobs:4} {wall_s:7.1f} {core_s:7.1f} {chosen.files / wall_s:8.1f} "
                f"{audio_s / wall_s:16,.0f} {audio_s / core_s:12,.0f}"
            )
            took_s.append(wall_s)
    print(f"{chosen.jobs[-1]} jobs to {chosen.jobs[0]}: {took_s[0] / took_s[-1]:.2f} x as fast")


def make_archive(folder: Path, files: int, seconds: float) -> Path:
    """Write the recordings, a hundred in a folder."""
    sound = np.resize(programme(), round(seconds * RATE))
    for number in range(files):
        path = folder / f"{number // A_FOLDER:03}" / f"{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < DISTINCT:
            soundfile.write(path, np.roll(sound, number * RATE), RATE)
        else:
            path.hardlink_to(folder / "000" / f"{number % DISTINCT:06}.wav")
    return folder


def label(archive: Path, files: int, jobs: int, model: str) -> Cost:
    """Label an archive into a folder of its own."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as output:
        began = time.monotonic()
        command = [sys.executable, "-m", "rtclassify", "classify", str(archive), "--output", output]
        options = ["--jobs", str(jobs), "--model", model, "--device", "cpu"]
        child = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - began
        made = len(list(Path(output).rglob("*.wav.jsonl")))
    if status or made != files:
        raise SystemExit(f"{made} of {files} recordings were labelled")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
