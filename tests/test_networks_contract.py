"""What every front end and every network promises: one suite over both tables."""

from __future__ import annotations

from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from rtclassify import frontends, networks
from rtclassify.errors import BundleError
from rtclassify.frontends import FRONTENDS, Frontend, frame_count
from rtclassify.networks import NETWORKS, Network, column_count, each_alone
from rtclassify.networks.dilated import Dilated, at_once
from rtclassify.stream import Samples


def noise(samples: int, rows: int = 2) -> Samples:
    return np.random.default_rng(1).normal(0, 0.1, (rows, samples)).astype(np.float32)


@pytest.fixture(params=FRONTENDS)
def frontend(request: pytest.FixtureRequest) -> Frontend:
    return FRONTENDS[request.param]()


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]()


@pytest.fixture(scope="module")
def model(network: Network) -> keras.Model:
    return network.build(frames=212, bands=64, labels=2, views=2)


def test_frames_have_the_promised_shape(frontend: Frontend) -> None:
    frames = frontend.frames(noise(frontend.window))

    assert frames.shape == (2, frame_count(frontend, frontend.window), frontend.bands)
    assert frames.dtype == tf.float32


def test_a_frame_depends_on_its_own_samples_alone(frontend: Frontend) -> None:
    audio = noise(frontend.window)
    whole = frontend.frames(audio).numpy()
    at = 7

    start = at * frontend.step
    alone = frontend.frames(audio[:, start : start + frontend.length]).numpy()

    np.testing.assert_allclose(alone[:, 0], whole[:, at], atol=1e-5)


def test_digital_silence_and_full_scale_are_finite(frontend: Frontend) -> None:
    for audio in (np.zeros((1, frontend.window)), np.full((1, frontend.window), 4.0)):
        assert np.isfinite(frontend.frames(audio.astype(np.float32))).all()


def test_louder_audio_gives_larger_values_in_the_first_view(frontend: Frontend) -> None:
    audio = noise(frontend.window)

    quiet, loud = (frontend.frames(gain * audio)[..., :: frontend.views] for gain in (1, 4))

    assert (loud >= quiet).numpy().all()


def test_a_front_end_is_made_again_from_its_configuration(frontend: Frontend) -> None:
    assert frontends.restore(frontend.config()) == frontend


def test_a_network_is_made_again_from_its_configuration(network: Network) -> None:
    assert networks.restore(network.config()).config() == network.config()


@pytest.mark.parametrize("table", [frontends, networks])
def test_what_is_in_no_table_is_refused(table: ModuleType) -> None:
    with pytest.raises(BundleError, match="known: "):
        table.restore({"name": "psychic"})


def test_a_column_depends_on_its_own_frames_alone(model: keras.Model, network: Network) -> None:
    frames = np.random.default_rng(2).normal(0, 1, (2, 212, 64)).astype(np.float32)
    trunk = model.get_layer("trunk")
    whole = trunk(frames).numpy()
    at = 3

    start = at * network.stride
    alone = trunk(frames[:, start : start + network.reach]).numpy()

    assert whole.shape[1] == column_count(network, 212)
    assert alone.shape[1] == 1
    np.testing.assert_allclose(alone[:, 0], whole[:, at], atol=1e-5)


def test_every_column_gets_probabilities_or_all_get_the_same(
    model: keras.Model, network: Network
) -> None:
    scores = model(np.random.default_rng(3).normal(0, 3, (5, 212, 64)).astype(np.float32)).numpy()

    assert scores.shape in [(5, column_count(network, 212), 2), (5, 1, 2)]
    assert ((scores >= 0) & (scores <= 1)).all()


def test_branches_answer_together_with_their_mean_log_odds(
    model: keras.Model, network: Network
) -> None:
    frames = np.random.default_rng(3).normal(0, 3, (5, 212, 64)).astype(np.float32)

    alone, together = each_alone(model)(frames).numpy(), model(frames).numpy()

    said = np.log(alone / (1 - alone)).reshape(-1, *together.shape)
    assert len(said) == len(network.config().get("branches", [1]))
    np.testing.assert_allclose(1 / (1 + np.exp(-said.mean(axis=0))), together, atol=1e-6)


def test_a_network_can_learn(model: keras.Model) -> None:
    """Gradients reach every weight that is to be trained."""
    frames = tf.constant(np.random.default_rng(4).normal(0, 1, (4, 212, 64)), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(frames, training=True) - [[1.0, 0.0]]))

    gradients = tape.gradient(loss, model.trainable_variables)

    assert all(g is not None for g in gradients)


def test_the_article_is_what_it_was() -> None:
    """The input, the shape and the size that follow from the article's own numbers."""
    frontend, network = FRONTENDS["article"](), NETWORKS["article"]()
    frames = frame_count(frontend, frontend.window)

    model = network.build(frames=frames, bands=frontend.bands, labels=2)

    assert (frontend.rate, frontend.bands, frames) == (22_050, 129, 212)
    flat = model.get_layer("head").get_layer(index=2).output.shape[-1]
    assert flat == 6 * 11 * 256
    convolutions = sum(9 * i * o + o for i, o in [(1, 32), (32, 64), (64, 128), (128, 256)])
    normalisations = sum(4 * o for o in (32, 64, 128, 256))
    dense = flat * 128 + 128 + 128 + 1
    assert model.count_params() == convolutions + normalisations + dense


def test_the_article_answers_two_labels_only() -> None:
    with pytest.raises(BundleError, match="2 labels"):
        NETWORKS["article"]().build(frames=212, bands=129, labels=3)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_dilated_convolutions_at_once_say_what_they_said(padding: str) -> None:
    columns = keras.Input((40, 6))
    x = keras.layers.Conv1D(
        8, 3, dilation_rate=4, padding=padding, use_bias=False, activation="relu"
    )(columns)
    x = keras.layers.Conv1D(8, 3, dilation_rate=2, padding="causal")(x)
    model = keras.Model(columns, keras.layers.BatchNormalization()(x))
    audio = noise(40 * 6).reshape(2, 40, 6)

    copy = at_once(model)

    assert [type(layer) is Dilated for layer in copy.layers] == [False, True, False, False]
    np.testing.assert_allclose(copy(audio), model(audio), atol=1e-6)
