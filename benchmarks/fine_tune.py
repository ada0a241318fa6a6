"""What a station gains by teaching the shipped model its own recordings, and what that forgets.

The station is a source that the model was never taught; half of its files are taught for a few
minutes by ``rtclassify train --init``, the other half and everything else that is held out
are judged before and after.

    python benchmarks/fine_tune.py recordings/corpus.tsv [--station hedgewars-data] [--minutes 5]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zlib
from pathlib import Path

from left_out import Row, read, run, write

TAUGHT, VALIDATION = 0.5, 0.1
"""Of the station's files, those that are taught, and of these those to validate by."""
HEADLINES = ("balanced_error", "frame_error", "window_error")


def main() -> None:
    """Split, fine-tune, judge, and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("table", type=Path, help="as scripts/corpus writes it")
    options.add_argument("--model", default="speech-music", help="what is fine-tuned")
    options.add_argument("--station", default="hedgewars-data", help="how its sources begin")
    options.add_argument("--minutes", type=float, default=5.0, help="of training")
    chosen = options.parse_args()
    rows = [row for row in read(chosen.table) if row["split"] == "val"]
    own = [row for row in rows if row["source"].startswith(chosen.station)]
    parts = {
        "taught": [taught(row) for row in own if share(row) < TAUGHT],
        "the station": [row for row in own if share(row) >= TAUGHT],
        "all others": [row for row in rows if row not in own],
    }
    with tempfile.TemporaryDirectory() as folder:
        tables = {name: chosen.table.parent / f"{name}-{Path(folder).name}.tsv" for name in parts}
        try:
            for name, part in parts.items():
                write(tables[name], part)
            tuned = Path(folder) / "tuned"
            run("train", tables["taught"], "--init", chosen.model, "--out", tuned,
                "--minutes", chosen.minutes)  # fmt: skip
            for name in ("the station", "all others"):
                report = Path(folder) / "report.json"
                run("evaluate", chosen.model, tables[name], "--compare", tuned, "--json", report)
                show(name, json.loads(report.read_text("utf-8"))["comparison"]["all"])
        finally:
            for table in tables.values():
                table.unlink(missing_ok=True)


def share(row: Row) -> float:
    """Return a number in [0, 1) that only a file's path decides."""
    return zlib.crc32(row["path"].encode()) / 2**32


def taught(row: Row) -> Row:
    """Keep a fifth of what is taught to validate by."""
    return {**row, "split": "val" if share(row) < VALIDATION else "train"}


def show(name: str, figures: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print what changed."""
    for headline in HEADLINES:
        before, after = (figures[headline][side]["value"] for side in ("one", "other"))
        print(f"{name:<12} {headline:<15} {before:6.1%} -> {after:6.1%}", flush=True)


if __name__ == "__main__":
    main()
