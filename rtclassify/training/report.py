"""What a person reads when training ends: a sentence, two pictures, the model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rtclassify.training.unfinished import History

DPI = 150
INK, FAINT = "#2b3440", "#8a94a0"
TRAINED, HELD = "#3a8fd6", "#e2862b"
TITLE: dict[str, Any] = {"color": INK, "fontsize": 11, "loc": "left"}
FEW = 5
"""Groups of fewer windows are too small to be called the weakest."""


def sentence(metrics: Mapping[str, Any]) -> str:
    """Say in one sentence how good the model is and where it is weak."""
    scores = metrics["scores"]
    groups = {**metrics["by_source"], **metrics["by_condition"]}
    judged = {name: group for name, group in groups.items() if group["windows"] >= FEW}
    weakest = min(judged or groups, key=lambda name: groups[name]["right"])
    text = (
        f"It is right about both speech and music in {scores['windows_right']:.1%} of "
        f"{scores['windows']:,} windows of held-out recordings{_beside(scores)}, and weakest on "
        f"{weakest} ({groups[weakest]['right']:.0%} of {groups[weakest]['windows']})"
    )
    taken = _worst_confusion(metrics["confusion"])
    return f"{text}; {taken}." if taken else f"{text}."


def _beside(scores: Mapping[str, Any]) -> str:
    if not scores["stressed_windows"]:
        return ""
    return (
        f" ({scores['sources_right']:.1%} in the mean over sources, {scores['stressed_right']:.1%} "
        f"of {scores['stressed_windows']:,} that were mixed, distorted or cut)"
    )


def _worst_confusion(confusion: Mapping[str, Any]) -> str:
    counts = np.array(confusion["rows_are_truth"])
    np.fill_diagonal(counts, 0)
    if not counts.any():
        return ""
    truth, answer = np.unravel_index(int(counts.argmax()), counts.shape)
    kinds = confusion["kinds"]
    return (
        f"its most frequent mistake is to hear {kinds[answer]} where there is {kinds[truth]} "
        f"({counts[truth, answer]} windows)"
    )


def draw_curves(history: History) -> Figure:
    """Draw loss and the share of windows right over the epochs; the kept epoch is marked."""
    figure = Figure((9, 3.6), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers = np.arange(1, len(history.epochs) + 1)
    left.plot(numbers, [e.loss for e in history.epochs], color=TRAINED, label="training")
    left.plot(numbers, [e.val_loss for e in history.epochs], color=HELD, label="validation")
    left.legend(frameon=False, labelcolor=INK)
    _dress(left, "Cross-entropy")
    right.plot(numbers, [e.val_right for e in history.epochs], color=HELD)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    _dress(right, "")
    kept = history.epochs[history.best]
    for axis, value in ((left, kept.val_loss), (right, kept.val_right)):
        axis.plot(history.best + 1, value, "o", color=HELD)
    right.set_title(f"Validation windows right in both: {kept.val_right:.1%} kept", **TITLE)
    return figure


def draw_confusion(confusion: Mapping[str, Any]) -> Figure:
    """Draw which kind is taken for which, as shares of the true kind and counts."""
    counts = np.array(confusion["rows_are_truth"])
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    kinds = confusion["kinds"]
    figure = Figure((5.2, 4.6), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        share, count = shares[row, column], counts[row, column]
        text = f"{share:.1%}\n{count:,}" if count else "–"
        colour = "white" if share > 0.5 else INK if count else FAINT  # noqa: PLR2004
        axis.text(column, row, text, ha="center", va="center", color=colour)
    axis.set_xticks(range(len(kinds)), kinds, color=INK)
    axis.set_yticks(range(len(kinds)), kinds, color=INK)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("heard", color=INK)
    axis.set_ylabel("true", color=INK)
    axis.set_title("Held-out windows, at threshold 0.5", color=INK, fontsize=11)
    return figure


def _dress(axis: Axes, title: str) -> None:
    axis.set_title(title, **TITLE)
    axis.set_xlabel("epoch", color=INK)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(FAINT)
    axis.tick_params(colors=INK)
    axis.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)


def draw(out: Path, history: History, metrics: Mapping[str, Any]) -> None:
    """Write ``training.png`` and ``confusion.png`` into the bundle's folder."""
    draw_curves(history).savefig(out / "training.png")
    draw_confusion(metrics["confusion"]).savefig(out / "confusion.png")


def card(name: str, metrics: Mapping[str, Any], data: Mapping[str, Any], command: str) -> str:
    """Write the model card in Markdown."""
    scores, errors = metrics["scores"], metrics["errors"]
    return f"""# {name}

Says of every tenth of a second of audio how likely speech is heard in it, and how likely music:
two independent probabilities. {sentence(metrics)}

## How good it is

Measured on windows of recordings that were held out as whole sources or files, at threshold 0.5.
*As recorded* is a minute and a half of each source, clips shorter than a window strung together.
*Under stress* is the same on its way through links, over music and in programmes. Windows count
where the truth is clear: each answer holds in at least 80 % or at most 20 % of what is judged.
`rtclassify evaluate` judges tenths of a second instead, and tells more.

| | right in both answers | windows |
| --- | --- | --- |
| as recorded | {scores["windows_right"]:.1%} | {scores["windows"]:,} |
{_rows({f"as recorded, {kind}": group for kind, group in metrics["by_kind"].items()})}
| mean over sources | {scores["sources_right"]:.1%} | |
| under stress | {scores["stressed_right"]:.1%} | {scores["stressed_windows"]:,} |

Errors over all of these windows:

| | |
| --- | --- |
| missed speech, false speech | {errors["missed_speech"]:.1%}, {errors["false_speech"]:.1%} |
| missed music, false music | {errors["missed_music"]:.1%}, {errors["false_music"]:.1%} |

![Confusion](confusion.png)

| condition | right in both | windows |
| --- | --- | --- |
{_rows(metrics["by_condition"])}

| held-out source | right in both | windows |
| --- | --- | --- |
{_rows(metrics["by_source"])}

## What it learned from

{_data_rows(data)}

Seed {metrics["seed"]}; {metrics["epochs"]} epochs, {metrics["duration_s"] / 60:.0f} minutes,
stopped by: {metrics["stopped"]}. Made by

    {command}

![Training](training.png)

## Limits

- Recordings like those above are what it knows; anything else is a guess until measured.
- {_calibration(metrics["temperatures"], metrics["tails_s"])}
- Validation windows come from few sources; a figure from 20 windows is uncertain by several
  points.
"""


def _calibration(temperatures: Mapping[str, float], tails_s: Mapping[str, float]) -> str:
    if not temperatures:
        return "The probabilities are not calibrated: they rank, and one half is a fair threshold."
    each = ", ".join(f"{label} {found:.2f}" for label, found in temperatures.items())
    longer = ", ".join(f"{label} {tail_s:.1f} s" for label, tail_s in tails_s.items())
    return (
        f"The probabilities are calibrated on what was held out (temperatures: {each}); on other\n"
        "  audio they are as sure as they were there. What ends is heard a little longer\n"
        f"  ({longer}), which final labels take off."
    )


def _rows(groups: Mapping[str, Mapping[str, float]]) -> str:
    return "\n".join(
        f"| {name} | {group['right']:.1%} | {group['windows']} |" for name, group in groups.items()
    )


def _data_rows(data: Mapping[str, Any]) -> str:
    lines = ["| | hours to train | hours held out |", "| --- | --- | --- |"]
    for kind in data["train_h"] | data["val_h"]:
        train_h, val_h = data["train_h"].get(kind, 0), data["val_h"].get(kind, 0)
        lines.append(f"| {kind} | {train_h:.2f} | {val_h:.2f} |")
    lines += ["", f"Trained on: {', '.join(data['train_sources'])}.", ""]
    lines += [f"Held out: {', '.join(data['val_sources'])}."]
    return "\n".join(lines)
