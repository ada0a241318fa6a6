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
    from rtclassify import description

    listed = [_entry(path) for path in description.known()]
    if as_json:
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    if not listed:
        print(f"No models in {description.folder()} yet; `rtclassify train` makes one.")
    for entry in listed:
        _print(entry)


def _entry(path: Path) -> dict[str, Any]:
    """Describe the bundle at `path`; one that is damaged has an ``error`` instead of the rest."""
    from rtclassify import description

    known: dict[str, Any] = {
        "name": path.name,
        "default": path.name == Settings().model,
        "path": str(path),
        "bytes": sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
    }
    try:
        said = description.describe(path)
        description.check_files(said)
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


def _print(entry: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    name = Text(entry["name"], "bold")
    if entry["default"]:
        name.append("  default", "not bold cyan")
    if "error" in entry:
        name.append("  damaged", "not bold red")
        facts = [entry["error"]]
    else:
        form = f"{entry['window_s']:g} s every {entry['hop_s']:g} s at {entry['rate']:,} Hz"
        size = f"{entry['bytes'] / 1e6:.1f} MB"
        about = (", ".join(entry["labels"]), form, size, f"made {entry['created'][:10]}")
        scores = (_score(*score) for score in entry["scores"].items())
        facts = ["   ".join(about), "   ".join(scores)]
    console = Console()
    console.print(name)
    for fact in filter(None, facts):
        console.print(Padding(Text(fact), (0, 0, 0, 2)))


def _score(name: str, value: float) -> str:
    """Show one figure of ``bundle.json``: shares are floats, counts are integers."""
    shown = f"{value:.1%}" if isinstance(value, float) else f"{value:,}"
    return f"{name.replace('_', ' ')} {shown}"
