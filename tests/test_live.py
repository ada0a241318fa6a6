"""Captures that come and go, and indices that keep time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs.hearing import check_indices

from rtclassify.clock import Timeline
from rtclassify.ring import Wakeup
from rtclassify.sources import Request, Tap
from rtclassify.sources.live import RING_S, Backoff, Capture, Feed
from rtclassify.stream import AudioBlock, CaptureLost, Gap, Item, Opened, Samples
from rtclassify.testing import ManualClock

RATE = 100


def request(*taps: Tap) -> Request:
    return Request("card", taps or (Tap("a", ()),), RATE, ManualClock(), Wakeup(), live=True)


def capture(wanted: Request, inputs: int = 1, rate: int = RATE) -> Capture:
    return Capture(wanted, device=f"{inputs} inputs", rate=rate, inputs=inputs)


def sound(frames: int, inputs: int = 1) -> Samples:
    return np.ones((frames, inputs), np.float32)


def kinds(items: list[Item]) -> list[type[Item]]:
    return [type(item) for item in items]


def everything(feed: Feed) -> list[Item]:
    """Read until nothing comes: each read brings a second at most."""
    items: list[Item] = []
    while more := feed.read():
        items += more
    return items


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["write", "skip", "read"]), st.integers(1, 2_000)), max_size=30
    )
)
def test_what_is_captured_is_delivered_or_counted(steps: list[tuple[str, int]]) -> None:
    """At equal rates: samples in blocks + samples in gaps = frames captured."""
    feed, current = Feed(request(), Timeline), capture(request())
    feed.begin(current)
    items: list[Item] = []
    for step, frames in steps:
        if step == "write":
            current.write(sound(frames), current.ring.captured / RATE)
        elif step == "skip":
            current.ring.skip(frames)
        else:
            items += feed.read()
    current.write(sound(1), current.ring.captured / RATE)
    items += feed.end("over")
    assert check_indices(items, "a") == current.ring.captured
    assert all(item.samples.all() for item in items if isinstance(item, AudioBlock))


def test_a_thread_that_is_busy_for_less_than_the_ring_holds_loses_nothing() -> None:
    feed, current = Feed(request(), Timeline), capture(request())
    feed.begin(current)
    for second in range(int(RING_S)):
        current.write(sound(RATE), float(second))
    assert kinds(everything(feed)) == [AudioBlock] * int(RING_S)


@settings(deadline=None)
@given(writes=st.lists(st.integers(1, 50), max_size=60))
def test_audio_is_handed_over_each_time_that_a_piece_is_whole(writes: list[int]) -> None:
    feed = Feed(replace(request(), piece=50), Timeline)
    current = capture(request())
    feed.begin(current)
    ends = [0]
    for frames in writes:
        before = current.ring.captured
        current.write(sound(frames), before / RATE)
        ends += [item.end for item in feed.read() if isinstance(item, AudioBlock)]
        if before // 50 < current.ring.captured // 50:
            assert ends[-1] == current.ring.captured
    assert len({end // 50 for end in ends[1:]}) >= len(ends) - 2  # the first comes at once


def test_a_pause_is_as_long_as_the_clock_says() -> None:
    feed = Feed(request(), Timeline)
    first, second = capture(request()), capture(request())
    feed.begin(first)
    first.write(sound(500), 1000.0)
    items = feed.lost("it stopped") + feed.begin(second)
    second.write(sound(500), 1042.0)
    items += everything(feed)
    lost = items.index(CaptureLost("a", "it stopped"))
    assert items[lost + 1] == Opened("a", "1 inputs")
    # Heard until 1005.0, and again from 1042.0 on.
    assert items[lost + 2] == Gap("a", 500, 4200, "it stopped")
    assert check_indices(items, "a") == 4700


def test_a_pause_that_the_clock_does_not_see_is_one_sample() -> None:
    """What two captures heard is never joined, even when their times overlap."""
    feed = Feed(request(), Timeline)
    first, second = capture(request()), capture(request())
    feed.begin(first)
    first.write(sound(500), 1000.0)
    items = feed.begin(second)
    second.write(sound(500), 1001.0)
    items += feed.read()
    assert [item for item in items if isinstance(item, Gap)] == [
        Gap("a", 500, 501, "the source changed its format")
    ]


def test_a_loss_is_said_once_until_audio_comes_again() -> None:
    feed = Feed(request(), Timeline)
    assert feed.lost("not there") == [CaptureLost("a", "not there")]
    assert feed.lost("still not there") == []
    current = capture(request())
    feed.begin(current)
    current.write(sound(10), 5.0)
    assert kinds(feed.read()) == [AudioBlock]
    assert feed.lost("gone again") == [CaptureLost("a", "gone again")]


def test_the_first_audio_is_sample_zero_however_long_it_was_awaited() -> None:
    feed = Feed(request(), Timeline)
    feed.lost("not there")
    current = capture(request())
    feed.begin(current)
    current.write(sound(10), 9_999.0)
    (block,) = feed.read()
    assert isinstance(block, AudioBlock)
    assert block.start == 0


def test_a_tap_whose_input_does_not_exist_is_lost_and_the_others_are_heard() -> None:
    wanted = request(Tap("good", (0,)), Tap("bad", (8,)))
    feed, current = Feed(wanted, Timeline), capture(wanted, inputs=2)
    items = feed.begin(current)
    current.write(sound(10, inputs=2), 5.0)
    items += feed.read()
    assert items[:2] == [
        Opened("good", "2 inputs"),
        CaptureLost("bad", "input 9 is wanted and there are 2"),
    ]
    assert [item.channel for item in items[2:]] == ["good"]


def test_a_format_that_changes_on_the_way_goes_on_in_time() -> None:
    feed = Feed(request(), Timeline)
    first, second = capture(request()), capture(request(), inputs=2, rate=2 * RATE)
    feed.begin(first)
    first.write(sound(1_000), 1000.0)
    items = feed.begin(second)
    second.write(sound(4_000, inputs=2), 1010.0)
    items += feed.end("over")
    assert check_indices(items, "a") == 1_000 + 1 + 2_000
    assert not any(isinstance(item, CaptureLost) for item in items)


def test_attempts_become_rarer_up_to_a_limit() -> None:
    backoff = Backoff(first_s=0.5, last_s=3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5
