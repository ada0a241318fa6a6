"""Archives for tests: folders of noise, what became of them, and processes to watch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PATIENCE_S = 60.0


def archive(folder: Path, *names: str, seconds: float = 7.0) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(0.0, 0.1, round(seconds * 16_000))
        soundfile.write(folder / name, noise, 16_000)
    return folder


def manifest(output: Path) -> list[dict[str, Any]]:
    """Return what the manifest says of recordings."""
    file = output / "manifest.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines[1:]]


def tree(output: Path) -> dict[str, tuple[int, int]]:
    """Return the files of labels, each with what changes when it is written again."""
    files = [
        path for path in output.rglob("*") if path.is_file() and path.parent.name != ".unfinished"
    ]
    told = {str(path.relative_to(output)): path.stat() for path in files}
    return {n: (s.st_ino, s.st_mtime_ns) for n, s in told.items() if n != "manifest.jsonl"}


def labels(*names: str, suffix: str = ".jsonl") -> set[str]:
    return {f"{name}{suffix}" for name in names}


def children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def until(claim: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
