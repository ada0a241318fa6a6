"""What the light runtime spares: start, memory and cost of a hop, against TensorFlow's.

Starts ``rtclassify run`` on the demo programme with each runtime in turn and waits for its word to
systemd that it is ready. Then feeds the engines of both, in this process, hop by hop in turn, and
compares their scores.

    python benchmarks/light.py [--model NAME] [--runs 3] [--seconds 10]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtclassify.cli.loading import open_engine
from rtclassify.config import Runtime
from rtclassify.description import LIGHT, find
from rtclassify.engine import Engine
from rtclassify.stream import Window

RUNTIMES: tuple[Runtime, ...] = ("tensorflow", "litert")
HOPS = 100
CHANNELS = (1, 8, 64)


@dataclass(frozen=True)
class Started:
    """Seconds to readiness, of the clock and of the core, and memory a while later."""

    wall_s: float
    core_s: float
    memory_mb: float


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="speech-music")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--seconds", type=float, default=10.0)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = exported(find(chosen.model), Path(folder))
        runs: dict[Runtime, list[Started]] = {runtime: [] for runtime in RUNTIMES}
        for _ in range(chosen.runs):
            for runtime in RUNTIMES:
                runs[runtime].append(start(model, runtime, Path(folder), chosen.seconds))
        engines = [
            open_engine(str(model), hop_s=None, device="cpu", runtime=runtime)
            for runtime in RUNTIMES
        ]
    print(f"{'':32} tensorflow     litert   ratio")
    show("start to ready, best, s", [min(s.wall_s for s in runs[r]) for r in RUNTIMES])
    show("the same, seconds of the core", [min(s.core_s for s in runs[r]) for r in RUNTIMES])
    show(f"memory {chosen.seconds:g} s later, MB", [runs[r][-1].memory_mb for r in RUNTIMES])
    for channels in CHANNELS:
        costs, apart = compare(engines, channels)
        show(f"a hop at batch {channels}, ms of the core", costs)
        print(f"{'scores differ by at most':32} {apart:.1e}")


def show(what: str, figures: Sequence[float]) -> None:
    """Print the figures of both runtimes and their ratio."""
    theirs, ours = figures
    print(f"{what:32} {theirs:10.2f} {ours:10.2f} {theirs / ours:7.1f}")


def exported(bundle: Path, folder: Path) -> Path:
    """Copy a bundle and put the file of the light runtime into the copy, if it has none."""
    copy = Path(shutil.copytree(bundle, folder / bundle.name))
    if not (copy / LIGHT).exists():
        command = [
            sys.executable,
            "-m",
            "rtclassify",
            "export",
            "-f",
            "tflite",
            "--model",
            str(copy),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return copy


def start(model: Path, runtime: Runtime, folder: Path, seconds: float) -> Started:
    """Run the daemon until `seconds` after it was ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = folder / f"notify-{time.monotonic_ns()}"
        manager.bind(str(address))
        command = [
            sys.executable, "-m", "rtclassify", "run", "--runtime", runtime, "--device", "cpu",
            "--model", str(model), "--source", "demo", "--publish", f"ipc://{folder / 'labels'}",
        ]  # fmt: skip
        began = time.monotonic()
        daemon = subprocess.Popen(
            command,
            env={**os.environ, "NOTIFY_SOCKET": str(address)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while b"READY=1" not in manager.recv(4096):
            pass
        wall_s, core_s = time.monotonic() - began, core_seconds(daemon.pid)
        time.sleep(seconds)
        memory = memory_mb(daemon.pid)
        daemon.terminate()
        daemon.wait(20)
    return Started(wall_s, core_s, memory)


def core_seconds(pid: int) -> float:
    """Return the processor time that all threads of a process have used."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def memory_mb(pid: int) -> float:
    """Return the memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def compare(engines: Sequence[Engine], channels: int) -> tuple[list[float], float]:
    """Return what a channel's hop costs each engine in ms, and how far their scores are apart."""
    window, hop = engines[0].window, engines[0].hop
    rng = np.random.default_rng(channels)
    audio = rng.standard_normal((channels, window + HOPS * hop)).astype(np.float32)
    audio *= np.geomspace(1e-3, 0.3, channels, dtype=np.float32)[:, None]
    spent, apart = [0.0, 0.0], 0.0
    for engine in engines:
        engine.reset()
    for start in range(0, HOPS * hop + 1, hop):
        windows = [
            Window(f"c{channel}", start, sound[start : start + window])
            for channel, sound in enumerate(audio)
        ]
        scores = []
        for n, engine in enumerate(engines):
            began = time.process_time()
            scores.append(engine.scores(windows))
            spent[n] += (time.process_time() - began) if start else 0.0
        apart = max(apart, float(np.abs(scores[0] - scores[1]).max()))
    return [1000 * seconds / HOPS / channels for seconds in spent], apart


if __name__ == "__main__":
    main()
