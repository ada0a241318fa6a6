"""One training from data to bundle."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rtclassify import __version__, bundle, frontends, networks
from rtclassify.corpus.dataset import LABELS, Heard
from rtclassify.description import find
from rtclassify.evaluation.trial import frame_samples
from rtclassify.frontends import Frontend
from rtclassify.networks import Network
from rtclassify.training import article, calibrate, evaluate, fit, material, report
from rtclassify.training.average import Weights
from rtclassify.training.board import Board
from rtclassify.training.material import Material, Sides, Wanted, Watcher
from rtclassify.training.recipe import PRODUCT, Recipe
from rtclassify.training.step import at_places, places, scores
from rtclassify.training.unfinished import Epoch, History, Unfinished


@dataclass(frozen=True, slots=True)
class Job:
    """What `run` is asked for.

    Args:
        wanted: The data, and the seed of everything.
        out: The bundle's folder.
        network: A key of `NETWORKS`.
        frontend: A key of `FRONTENDS`.
        epochs: At most this many; None for the recipe's.
        batch: Windows in a step; None for the recipe's.
        minutes: Stop after so long; None for no limit.
        init: The bundle whose weights are the beginning, and whose front end and network are
            used; an empty string for none.
        resume: Whether to go on with an interrupted training of `out`.
        logs: Where TensorBoard's events are written; None for nowhere.
        command: What a person typed, for the model card.
    """

    wanted: Wanted
    out: Path
    network: str
    frontend: str
    epochs: int | None
    batch: int | None
    minutes: float | None
    init: str
    resume: bool
    logs: Path | None
    command: str


UNFINISHED = "unfinished.npz"
FINE = 0.2
"""Beginning from a trained model, the share of the learning rate that is used."""

INNER = 0.25, 0.75
"""What of a window has heard enough to both sides, as shares of it."""


def run(job: Job, watcher: Watcher) -> str:
    """Train, evaluate and save; return the sentence that says how good the model is.

    Raises:
        BundleError: If the model to begin from cannot be used.
        DataError: If the data, or what an interrupted training left, cannot be used.
        DependencyError: If the loader, or TensorBoard, is not installed.
        KeyboardInterrupt: If it comes before anything was learned.
    """
    begun = time.monotonic()
    keras.utils.set_random_seed(job.wanted.seed)
    frontend, network, model = _student(job)
    unfinished = Unfinished(job.out / UNFINISHED)
    if not job.resume:
        unfinished.clear()
    sides = material.load(job.wanted, frontend.rate, watcher)
    for part in ("trunk", "head"):
        model.get_layer(part).summary(print_fn=watcher.line, line_length=80)
    feed = material.chunked if network.config()["name"] == "article" else material.mixed
    recipe, before = _recipe(job), model.get_weights()
    with feed(sides, frontend, recipe.batch, job.wanted.seed, watcher) as fed:
        history = _fit(
            model, frontend, network, recipe, fed, unfinished=unfinished, job=job, watcher=watcher
        )
    if job.init:
        model.set_weights(halfway(before, model.get_weights()))
    temperatures, tails_s = dict[str, float](), dict.fromkeys(LABELS, 0.0)
    if recipe.calibrated:
        temperatures = _calibrate(model, frontend, network, fed)
        tails_s = _tails_s(model, frontend, network, sides["val"], job.wanted.seed)
    probabilities = scores(model, frontend, fed.validation.audio)
    metrics = evaluate.measure(fed.validation, probabilities)
    metrics |= {"temperatures": temperatures, "tails_s": tails_s}
    metrics |= _circumstances(job, recipe, history, history.earlier_s + time.monotonic() - begun)
    data = _provenance(job, sides, frontend.rate)
    bundle.save(
        job.out,
        model=model,
        frontend=frontend,
        network=network,
        labels=LABELS,
        tails_s=tuple(tails_s.values()),
        data=data,
        metrics=metrics,
        card=report.card(job.out.name, metrics, data, job.command),
    )
    report.draw(job.out, history, metrics)
    if history.stopped != fit.INTERRUPTED:
        unfinished.clear()
    return report.sentence(metrics)


def _student(job: Job) -> tuple[Frontend, Network, keras.Model]:
    """Return what is to learn: a network that knows nothing, or the model to begin from."""
    if job.init:
        known = bundle.load(find(job.init))
        return known.frontend, known.network, known.model
    frontend, network = frontends.FRONTENDS[job.frontend](), networks.NETWORKS[job.network]()
    frames = frontends.frame_count(frontend, frontend.window)
    model = network.build(
        frames=frames, bands=frontend.bands, labels=len(LABELS), views=frontend.views
    )
    return frontend, network, model


def halfway(before: Weights, after: Weights) -> Weights:
    """Return the mean of two models' weights, with which what was known is not forgotten.

    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    return [np.asarray((old + new) / 2, np.float32) for old, new in zip(before, after, strict=True)]


def _fit(
    model: keras.Model,
    frontend: Frontend,
    network: Network,
    recipe: Recipe,
    fed: Material,
    *,
    unfinished: Unfinished,
    job: Job,
    watcher: Watcher,
) -> History:
    watcher.begin("training", fed.steps * recipe.epochs)
    board = Board(job.logs)
    score = ""

    def on_step(loss: float) -> None:
        watcher.advance(1, f"loss {loss:.3f}{score}")

    def on_epoch(number: int, epoch: Epoch) -> None:
        nonlocal score
        score = f", {epoch.val_right:.1%} of validation right"
        board.write(number, epoch)
        if number % recipe.log_every == 0:
            watcher.line(
                f"epoch {number}: loss {epoch.loss:.4f}, validation {epoch.val_loss:.4f}, "
                f"{epoch.val_right:.1%} right, {epoch.seconds:.0f} s"
            )

    history = fit.fit(
        model,
        frontend,
        network,
        recipe,
        ear=fed.ear,
        epoch_batches=fed.epoch_batches,
        steps=fed.steps,
        held=fit.Held(fed.validation.audio, fed.validation.present),
        limit_s=math.inf if job.minutes is None else 60 * job.minutes,
        unfinished=unfinished,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    watcher.line(f"stopped after epoch {len(history.epochs)}: {history.stopped}")
    return history


def _calibrate(
    model: keras.Model, frontend: Frontend, network: Network, fed: Material
) -> dict[str, float]:
    """Make the model's answers mean what they say; return the temperature of each."""
    held = fed.validation
    truth = at_places(held.present, places(frontend, network, model.output_shape[1]))
    found = calibrate.temperatures(scores(model, frontend, held.audio), truth)
    calibrate.apply(model, found)
    return dict(zip(LABELS, found, strict=True))


def _tails_s(
    model: keras.Model, frontend: Frontend, network: Network, held: Sequence[Heard], seed: int
) -> dict[str, float]:
    """Measure in a programme for how many seconds each answer outlasts what it is of.

    Windows overlap by half; of each the columns around its middle count.
    """
    trial = evaluate.on_air(held, frontend.rate, seed=seed)
    window, half = frontend.window, frontend.window // 2
    windows = np.lib.stride_tricks.sliding_window_view(trial.audio, window)[::half]
    middles = places(frontend, network, model.output_shape[1])
    inner = (middles >= INNER[0]) & (middles < INNER[1])
    heard = np.arange(len(windows))[:, np.newaxis] * half + middles[inner] * window
    truth = trial.truth[(heard.ravel() / frame_samples(frontend.rate)).astype(int)]
    answers = scores(model, frontend, windows)[:, inner].reshape(truth.shape)
    column_s = half / frontend.rate / np.count_nonzero(inner)
    found = calibrate.tails(answers, truth)
    return {
        label: round(float(columns * column_s), 3)
        for label, columns in zip(LABELS, found, strict=True)
    }


def _recipe(job: Job) -> Recipe:
    recipe = article.RECIPE if job.network == "article" else PRODUCT
    return replace(
        recipe,
        epochs=job.epochs or recipe.epochs,
        batch=job.batch or recipe.batch,
        learning_rate=recipe.learning_rate * (FINE if job.init else 1.0),
    )


def _circumstances(job: Job, recipe: Recipe, history: History, duration_s: float) -> dict[str, Any]:
    kept = history.epochs[history.best]
    return {
        "seed": job.wanted.seed,
        "epochs": len(history.epochs),
        "kept_epoch": history.best + 1,
        "kept_val_loss": round(kept.val_loss, 5),
        "batch": recipe.batch,
        "stopped": history.stopped,
        "duration_s": round(duration_s, 1),
        "versions": {
            "rtclassify": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def _provenance(job: Job, sides: Sides, rate: int) -> dict[str, Any]:
    wanted = job.wanted
    data: dict[str, Any] = {"from": wanted.loader or (wanted.data.name if wanted.data else "")}
    for side, takes in sides.items():
        data[f"{side}_h"] = material.hours(takes, rate)
        data[f"{side}_sources"] = sorted({clip.source.partition("/")[0] for clip, _ in takes})
    return data
