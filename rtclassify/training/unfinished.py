"""What an interrupted training leaves behind, so that it can go on: one file, after each epoch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtclassify.errors import DataError
from rtclassify.training.average import Weights

ROLES = ("weights", "mean", "best", "optimizer")


@dataclass(frozen=True, slots=True)
class Epoch:
    """How an epoch ended: mean losses, the share of validation that is right, and its seconds."""

    loss: float
    val_loss: float
    val_right: float
    seconds: float


@dataclass(slots=True)
class History:
    """What happened.

    Args:
        epochs: Each of them.
        best: Index of the one whose weights are kept.
        stopped: Why no more came.
        earlier_s: Seconds that were spent before the last interruption.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    stopped: str = "all epochs done"
    earlier_s: float = 0.0


@dataclass(slots=True)
class Progress:
    """How far training has come.

    Args:
        history: What happened.
        weights: The model's.
        mean: Their running mean, which is over `steps`.
        best: Those of the best epoch.
        optimizer: Its state.
        steps: Done so far.
        spent_s: Seconds so far.
    """

    history: History = field(default_factory=History)
    weights: Weights = field(default_factory=list)
    mean: Weights = field(default_factory=list)
    best: Weights = field(default_factory=list)
    optimizer: Weights = field(default_factory=list)
    steps: int = 0
    spent_s: float = 0.0


class Unfinished:
    """The file of one training.

    Args:
        path: Need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Progress | None:
        """Return how far an interrupted training came, or None.

        Raises:
            DataError: If the file cannot be read.
        """
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                facts = json.loads(str(arrays["facts"]))
                kept = {
                    role: [arrays[f"{role}/{at}"] for at in range(facts["counts"][role])]
                    for role in ROLES
                }
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{self.path} cannot be gone on from ({error}); delete it and train anew."
            ) from error
        history = facts["history"]
        history["epochs"] = [Epoch(**epoch) for epoch in history["epochs"]]
        return Progress(History(**history), **kept, steps=facts["steps"], spent_s=facts["spent_s"])

    def write(self, progress: Progress) -> None:
        """Keep it; what was kept before stays whole until this is."""
        lists: dict[str, Weights] = {role: getattr(progress, role) for role in ROLES}
        facts = {
            "history": asdict(progress.history),
            "steps": progress.steps,
            "spent_s": progress.spent_s,
            "counts": {role: len(arrays) for role, arrays in lists.items()},
        }
        named: dict[str, Any] = {
            f"{role}/{at}": array for role, some in lists.items() for at, array in enumerate(some)
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".part")
        with fresh.open("wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **named)
        fresh.replace(self.path)

    def clear(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)
