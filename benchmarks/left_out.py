"""How well a model does on sources and languages that it was trained without.

For each group a model is trained from scratch on the table without the group's sources, and judged
on nothing but those. What is held out for early stopping and calibration stays as it is.

    python benchmarks/left_out.py recordings/corpus.tsv [--without czech ...] [--minutes 20]

Languages that resemble each other are one group, so that no near relative is left in training.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

Row = dict[str, str]
Figures = dict[str, dict[str, float | None]]

RATES = ("missed_speech", "false_speech", "missed_music", "false_music")

GROUPS = {
    "marsshooter": ("marsshooter-data*",),
    "chinese": ("gcin-voice", "*/zh_tw"),
    "czech": ("fillets-ng-data-cs", "*/cs"),
    "east-slavic": ("festvox-ru", "asterisk-core-sounds-ru-*", "*/ru", "*/be", "*/bg"),
    "english": (
        "asterisk-core-sounds-en-*", "flight-of-the-amazon-queen", "azure_*", "boswars-data",
        "freedroidrpg-data", "fsdd_digits", "sms_tools", "supertuxkart-data", "marsshooter-data",
        "openarena*", "*/en", "*/en_GB",
    ),
    "malayalam": ("*/ml",),
    "romance": (
        "asterisk-core-sounds-es-*", "*/es", "*/ca", "*/gl", "*/fr", "*/wa", "*/ro", "*/it",
        "*/pt", "*/pt_BR",
    ),
}  # fmt: skip


def main() -> None:
    """Train without each group, judge, and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("table", type=Path, help="as scripts/corpus writes it")
    options.add_argument("--without", nargs="+", choices=GROUPS, default=list(GROUPS))
    options.add_argument("--minutes", type=float, default=20.0, help="of each training")
    chosen = options.parse_args()
    rows = read(chosen.table)
    print(f"{'group':<12} {'source':<32} {'hours':>6} " + " ".join(f"{name:>13}" for name in RATES))
    for group in chosen.without:
        with tempfile.TemporaryDirectory() as folder:
            # Paths in a table are relative to its folder, so the parts lie beside the whole.
            found = judged(rows, GROUPS[group], chosen.table.parent, Path(folder), chosen.minutes)
        for source, figures in found.items():
            rates = [figures[name] for name in RATES]
            told = " ".join(f"{'–' if rate is None else f'{rate:.1%}':>13}" for rate in rates)
            print(f"{group:<12} {source:<32} {figures['hours']:6.2f} {told}", flush=True)


def judged(
    rows: list[Row], patterns: tuple[str, ...], beside: Path, folder: Path, minutes: float
) -> Figures:
    """Train without the sources that match `patterns`; return figures by source left out."""
    parts: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        named = any(fnmatchcase(row["source"], pattern) for pattern in patterns)
        left_out = named and row["split"] == "train"
        parts[left_out].append({**row, "split": "val"} if left_out else row)
    known = beside / f"without-{folder.name}.tsv"
    unknown = beside / f"only-{folder.name}.tsv"
    try:
        write(known, parts[False])
        write(unknown, parts[True])
        model, report = folder / "model", folder / "report.json"
        run("train", known, "--out", model, "--minutes", minutes)
        run("evaluate", model, unknown, "--json", report)
        found: Figures = json.loads(report.read_text("utf-8"))["by_source"]
    finally:
        known.unlink(missing_ok=True)
        unknown.unlink(missing_ok=True)
    return found


def read(path: Path) -> list[Row]:
    """Read a table of recordings."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write(path: Path, rows: list[Row]) -> None:
    """Write a table of recordings."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0], delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def run(*arguments: object) -> None:
    """Run a command of the program; its progress goes to standard error."""
    told = [str(argument) for argument in arguments]
    subprocess.run([sys.executable, "-m", "rtclassify", *told], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
