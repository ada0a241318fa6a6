"""``rtclassify models``: list the bundles; needs no TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rtclassify.config import Settings
from rtclassify.errors import BundleError


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the models, the good and the damaged."""
    from rtclassify import bundle

    listed = [_entry(path) for path in bundle.known()]
    if as_json:
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    elif listed:
        _print_table(listed)
    else:
        print(f"No models in {bundle.folder()} yet; `rtclassify train` makes one.")


def _entry(path: Path) -> dict[str, Any]:
    """Describe the bundle at `path`; one that is damaged has an ``error`` instead of the rest."""
    from rtclassify import bundle

    known: dict[str, Any] = {
        "name": path.name,
        "default": path.name == Settings().model,
        "path": str(path),
        "bytes": sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
    }
    try:
        said = bundle.describe(path)
        bundle.check_files(said)
    except BundleError as error:
        return {**known, "error": str(error)}
    return {
        **known,
        "labels": said.labels,
        "rate": said.rate,
        "window_s": said.window / said.rate,
        "hop_s": said.hop / said.rate,
        "hop_unit_s": said.hop_unit / said.rate,
        "digest": said.digest,
        "created": said.created,
        "scores": said.scores,
    }


def _print_table(listed: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("model", "labels", "window", "size", "made", "scores"):
        table.add_column(heading, overflow="fold")
    for entry in listed:
        name = Text(entry["name"], style="bold")
        if entry["default"]:
            name.append("\ndefault", style="not bold cyan")
        size = f"{entry['bytes'] / 1e6:.1f} MB"
        if "error" in entry:
            table.add_row(name, "", "", size, "", Text(entry["error"], style="red"))
            continue
        window = f"{entry['window_s']:g} s every {entry['hop_s']:g} s\n{entry['rate']:,} Hz"
        labels, made = "\n".join(entry["labels"]), entry["created"][:10]
        table.add_row(name, labels, window, size, made, _scores(entry["scores"]))
    Console().print(table)


def _scores(scores: dict[str, Any]) -> str:
    return "\n".join(
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in scores.items()
    )
