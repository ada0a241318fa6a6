"""Laws of the engine: streaming equals whole windows, and a score depends on its window alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify import bundle as bundles
from rtclassify.engine import Engine
from rtclassify.errors import BundleError, UsageError
from rtclassify.frontends import FRONTENDS, frame_count
from rtclassify.inference import choose_device
from rtclassify.inference import engine_of as engine_on_tensorflow
from rtclassify.networks import NETWORKS
from rtclassify.stream import Samples, Window

PAIRS = [
    ("log_stft", "column_cnn"),
    ("harmonic_stft", "branched_cnn"),
    ("article", "article"),
]
NAMES = [network for _, network in PAIRS]


@pytest.fixture(scope="module", params=PAIRS, ids=NAMES)
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> bundles.Bundle:
    return bundles.load(untrained(tmp_path_factory.mktemp("models") / "tiny", *request.param))


def untrained(
    path: Path,
    frontend_name: str = "log_stft",
    network_name: str = "column_cnn",
    **settings_of_frontend: int,
) -> Path:
    frontend, network = FRONTENDS[frontend_name](**settings_of_frontend), NETWORKS[network_name]()
    frames = frame_count(frontend, frontend.window)
    model = network.build(frames=frames, bands=frontend.bands, labels=2, views=frontend.views)
    bundles.save(
        path, model=model, frontend=frontend, network=network, labels=("speech", "music"),
        tails_s=(0.0, 0.0), data={}, metrics={}, card="untrained",
    )  # fmt: skip
    return path


def engine_of(bundle: bundles.Bundle, *, hop_units: int) -> Engine:
    return engine_on_tensorflow(
        bundle, hop=hop_units * bundle.description.hop_unit, runs_on="a test"
    )


def noise(seed: int, samples: int) -> Samples:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(samples) * rng.uniform(0.001, 0.3)).astype(np.float32)


def windows_of(audio: Samples, engine: Engine, channel: str = "a") -> list[Window]:
    starts = range(0, len(audio) - engine.window + 1, engine.hop)
    return [Window(channel, s, audio[s : s + engine.window]) for s in starts]


@pytest.mark.parametrize("hop_units", [1, 5, 9])
def test_streaming_scores_are_whole_window_scores(bundle: bundles.Bundle, hop_units: int) -> None:
    engine = engine_of(bundle, hop_units=hop_units)
    windows = windows_of(noise(hop_units, 2 * engine.window), engine)

    streamed = np.concatenate([engine.scores([window]) for window in windows])

    whole = bundle.scores(np.stack([window.samples for window in windows]))
    assert len(windows) > 1
    assert whole.shape == (len(windows), engine.window // engine.cell, 2)
    np.testing.assert_allclose(streamed, whole, atol=1e-5)


def test_a_cell_takes_the_answer_of_the_column_whose_middle_is_nearest(
    bundle: bundles.Bundle,
) -> None:
    frontend, network = bundle.frontend, bundle.network
    cell, cells = bundle.description.hop_unit, frontend.window // bundle.description.hop_unit
    columns = bundle.model.output_shape[1]
    numbers = np.arange(columns, dtype=np.float32)[None, :, None]

    taken = bundle.grid.per_cell(numbers)[0, :, 0]

    heard = (network.reach - 1) * frontend.step + frontend.length
    middles = np.array([k * cell + heard / 2 for k in range(columns)])
    of_cells = [frontend.window - (cells - c) * cell + cell / 2 for c in range(cells)]
    assert taken.tolist() == [np.abs(middles - at).argmin() for at in of_cells]
    assert set(taken) == set(range(columns))


@pytest.fixture(scope="module")
def engine(bundle: bundles.Bundle) -> Engine:
    return engine_of(bundle, hop_units=5)


@pytest.fixture(scope="module")
def alone(bundle: bundles.Bundle, engine: Engine) -> list[list[tuple[Window, Samples]]]:
    """Windows of three channels, each with its scores."""
    return [
        [
            (window, bundle.scores(window.samples[np.newaxis])[0])
            for window in windows_of(noise(seed, engine.window + 4 * engine.hop), engine, name)
        ]
        for seed, name in enumerate("abc")
    ]


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_score_does_not_depend_on_what_else_is_in_the_batch(
    engine: Engine, alone: list[list[tuple[Window, Samples]]], data: st.DataObject
) -> None:
    """Channels join, skip and leave; each gets what it would have got alone."""
    engine.reset()
    streams = [[*windows] for windows in alone]
    while any(streams):
        batch = []
        for waiting in streams:
            take = data.draw(st.integers(0, min(2, len(waiting))))
            batch += [waiting.pop(0) for _ in range(take)]
        if not batch:
            batch = [next(filter(None, streams)).pop(0)]

        scores = engine.scores([window for window, _ in batch])

        expected = np.stack([own for _, own in batch])
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_window_after_a_gap_owes_nothing_to_the_audio_before_it(bundle: bundles.Bundle) -> None:
    engine = engine_of(bundle, hop_units=5)
    before, after = noise(1, engine.window), noise(2, engine.window)
    engine.scores([Window("a", 0, before)])

    scores = engine.scores([Window("a", 3 * engine.window, after)])

    np.testing.assert_allclose(scores, bundle.scores(after[None]), atol=1e-5)


def test_columns_are_computed_for_new_audio_only(
    bundle: bundles.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(bundle, hop_units=5)
    windows = windows_of(noise(3, engine.window + 2 * engine.hop), engine)
    rows: list[int] = []
    columns_of = engine.graphs.columns_of

    def counted(batch: Samples) -> Samples:
        rows.append(len(batch))
        return columns_of(batch)

    monkeypatch.setattr(engine, "graphs", replace(engine.graphs, columns_of=counted))

    for window in windows:
        engine.scores([window])

    assert rows[0] > 1
    assert rows[1:] == [1] * (len(windows) - 1)


def test_a_hop_that_does_not_fit_is_refused_with_the_nearest_that_do(
    bundle: bundles.Bundle,
) -> None:
    description = bundle.description
    unit_s = description.hop_unit / description.rate

    assert description.hop_samples(3 * unit_s) == 3 * description.hop_unit
    with pytest.raises(BundleError, match=f"use {2 * unit_s:.9g} or {3 * unit_s:.9g} s"):
        description.hop_samples(2.4 * unit_s)
    with pytest.raises(BundleError, match="longer than the window"):
        description.hop_samples(5.7)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="sees no GPU"):
        choose_device("gpu")
    assert choose_device("auto").startswith("CPU")
