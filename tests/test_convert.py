"""The only down-mix and resampler."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.clock import Line
from rtclassify.errors import SourceError
from rtclassify.sources import Tap
from rtclassify.sources.convert import QUALITY, Converter
from rtclassify.sources.legs import CELL_S
from rtclassify.stream import AudioBlock, Gap, Item, Legs, Samples

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])
FRAMES = 6_000


def noise(frames: int = FRAMES, inputs: int = 1) -> Samples:
    return np.random.default_rng(5).uniform(-1, 1, (frames, inputs)).astype(np.float32)


def converter(rate_in: int, rate: int, *, inputs: int = 1, taps: Sequence[Tap] = ()) -> Converter:
    taps = taps or [Tap("a", ())]
    return Converter(taps, source="test", inputs=inputs, rate_in=rate_in, rate=rate, legs=True)


def joined(items: Sequence[Item], channel: str = "a") -> Samples:
    blocks = [i.samples for i in items if isinstance(i, AudioBlock) and i.channel == channel]
    return np.concatenate([np.empty(0, np.float32), *blocks])


def nearest(native: int, rate_in: int, rate: int) -> int:
    return int(np.floor(native * rate / rate_in + 0.5))


@settings(deadline=None, max_examples=60)
@given(rate_in=RATES, rate=RATES, cuts=st.lists(st.integers(0, FRAMES), max_size=12))
def test_how_frames_were_cut_never_shows(rate_in: int, rate: int, cuts: list[int]) -> None:
    frames = noise()
    whole = soxr.resample(frames[:, 0], rate_in, rate, quality=QUALITY)
    if rate_in == rate:
        whole = frames[:, 0]
    convert = converter(rate_in, rate)
    edges = [0, *sorted(cuts), FRAMES]

    items: list[Item] = []
    for start, end in itertools.pairwise(edges):
        items += convert.push(start, frames[start:end], None)
    items += convert.finish()

    assert np.array_equal(joined(items), whole[: nearest(FRAMES, rate_in, rate)])


@settings(deadline=None, max_examples=60)
@given(
    rate_in=RATES,
    rate=RATES,
    pieces=st.lists(
        st.tuples(st.integers(0, 3_000), st.integers(1, 3_000)), min_size=1, max_size=6
    ),
)
def test_indices_stay_true_across_losses(
    rate_in: int, rate: int, pieces: list[tuple[int, int]]
) -> None:
    """Each piece is some frames lost, then some frames heard."""
    convert = converter(rate_in, rate)
    items: list[Item] = []
    native, runs = 0, []
    for lost, heard in pieces:
        native += lost
        items += convert.push(native, noise(heard), None)
        runs.append(native)
        native += heard
    items += convert.finish()

    end = 0
    for item in items:
        assert isinstance(item, AudioBlock | Gap)
        assert item.start == end
        end = item.end
    assert end in (nearest(native, rate_in, rate), nearest(native, rate_in, rate) - 1)
    starts = {0, *(item.end for item in items if isinstance(item, Gap))}
    assert {nearest(run, rate_in, rate) for run in runs} >= starts - {0}


@settings(deadline=None, max_examples=30)
@given(rate_in=RATES, lost=st.integers(100, 5_000))
def test_audio_after_a_loss_knows_nothing_of_what_came_before(rate_in: int, lost: int) -> None:
    convert = converter(rate_in, 16_000)
    convert.push(0, noise(), None)
    items = convert.push(FRAMES + lost, np.zeros((FRAMES, 1), np.float32), None)
    gap = next(index for index, item in enumerate(items) if isinstance(item, Gap))
    assert not joined([*items[gap:], *convert.finish()]).any()


def test_equal_rates_pass_bit_for_bit() -> None:
    frames = noise(inputs=3)
    items = converter(16_000, 16_000, inputs=3, taps=[Tap("a", (1,))]).push(0, frames, None)
    assert np.array_equal(joined(items), frames[:, 1])


def test_each_tap_is_the_mean_of_its_inputs() -> None:
    frames = noise(inputs=4)
    taps = [Tap("all", ()), Tap("two", (1, 3))]
    items = converter(16_000, 16_000, inputs=4, taps=taps).push(0, frames, None)
    assert np.allclose(joined(items, "all"), frames.mean(axis=1), atol=1e-7)
    assert np.allclose(joined(items, "two"), frames[:, [1, 3]].mean(axis=1), atol=1e-7)


def test_what_is_delivered_is_a_copy() -> None:
    frames = noise()
    items = converter(16_000, 16_000).push(0, frames, None)
    before = joined(items).copy()
    frames[:] = 0.0
    assert np.array_equal(joined(items), before)


def test_what_is_not_a_number_is_silent_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    frames = noise()
    frames[10], frames[20], frames[30] = np.nan, np.inf, -np.inf
    convert = converter(16_000, 16_000)
    items = convert.push(0, frames, None) + convert.push(FRAMES, frames, None)
    expected = np.where(np.isfinite(frames), frames, 0.0)[:, 0]
    assert np.array_equal(joined(items), np.concatenate([expected, expected]))
    assert [record.message for record in caplog.records] == [
        "test: samples that are not numbers count as silence"
    ]


def test_an_input_that_does_not_exist_is_named() -> None:
    with pytest.raises(SourceError, match="test: input 9 is wanted and there are 2"):
        converter(16_000, 16_000, inputs=2, taps=[Tap("a", (8,))])


def test_the_line_dates_delivered_samples() -> None:
    """Native frame 48,000 was captured at second 11, which is delivered sample 16,000 + 500."""
    convert = Converter(
        [Tap("a", ())], source="test", inputs=1, rate_in=48_000, rate=16_000, origin=500
    )
    items = convert.push(0, noise(9_000), Line(0.0, 10.0, 48_000.0, 0.001))
    block = items[0]
    assert isinstance(block, AudioBlock)
    assert block.start == 500
    assert block.line is not None
    assert block.line.at(16_500) == pytest.approx(11.0)


def test_live_audio_waits_less_than_forty_milliseconds() -> None:
    convert = converter(48_000, 16_000)
    frames, delivered, waiting = noise(48_000), 0, []
    for start in range(0, 48_000, 1_000):
        items = convert.push(start, frames[start : start + 1_000], None)
        delivered += len(joined(items))
        waiting.append((start + 1_000) / 48_000 - delivered / 16_000)
    assert max(waiting) < 0.040


def legs_of(items: Sequence[Item], channel: str = "a") -> list[Legs]:
    found = [i.legs for i in items if isinstance(i, AudioBlock) and i.channel == channel]
    return [legs for of_block in found for legs in of_block]


@settings(deadline=None, max_examples=60)
@given(rate_in=RATES, rate=RATES, cuts=st.lists(st.integers(0, 40_000), max_size=12))
def test_what_is_told_of_the_legs_does_not_depend_on_cuts(
    rate_in: int, rate: int, cuts: list[int]
) -> None:
    """Nor does it come before the audio that it speaks of, nor does any of it fail to come."""
    frames = noise(40_000, inputs=2)
    convert = converter(rate_in, rate, inputs=2)
    items: list[Item] = []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(frames)]):
        items += convert.push(start, frames[start:end], None)
    items += convert.finish()

    cell = round(CELL_S * rate_in)
    expected = [
        (nearest(end, rate_in, rate), *leg_sums(frames[end - cell : end]))
        for end in range(cell, len(frames) + 1, cell)
    ]
    told = [(legs.end, *legs.squares, legs.product) for legs in legs_of(items)]
    assert np.array(told) == pytest.approx(np.array(expected), rel=1e-4, abs=1e-4)
    assert all(i.legs[-1].end <= i.end for i in items if isinstance(i, AudioBlock) and i.legs)


def leg_sums(frames: Samples) -> tuple[float, float, float]:
    left, right = frames.T.astype(np.float64)
    return float(np.mean(left**2)), float(np.mean(right**2)), float(np.mean(left * right))


def test_clipping_is_three_samples_at_full_scale_in_a_row_in_any_leg() -> None:
    frames = np.full((12_000, 2), 0.5, np.float32)
    frames[100:102, 0] = 1.0
    frames[200:210, 1] = -1.0
    (legs,) = legs_of(converter(48_000, 48_000, inputs=2).push(0, frames, None))

    assert legs.clipped == pytest.approx(8 / 12_000, rel=1e-2)


def test_each_tap_knows_its_own_inputs_and_only_pairs_have_a_product() -> None:
    frames = np.tile(np.array([0.1, 0.2, -0.2], np.float32), (12_000, 1))
    taps = [Tap("pair", (1, 2)), Tap("one", (0,)), Tap("all", ())]
    items = converter(48_000, 48_000, inputs=3, taps=taps).push(0, frames, None)

    pair, one, everything = (legs_of(items, tap.channel)[0] for tap in taps)
    assert [*pair.squares, pair.product] == pytest.approx([0.04, 0.04, -0.04], rel=1e-4)
    assert one.squares == pytest.approx((0.01,), rel=1e-4)
    assert (one.product, everything.product) == (None, None)
    assert len(everything.squares) == 3
