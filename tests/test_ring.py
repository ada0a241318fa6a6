"""Audio can be lost in exactly one place, and there it is counted."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtclassify.ring import Chunk, Ring, Wakeup


def ramp(start: int, frames: int, channels: int) -> np.ndarray:
    """Frames whose value is their index, so that a reader can tell which they are."""
    return np.repeat(np.arange(start, start + frames, dtype=np.float32)[:, None], channels, axis=1)


actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 40)),
        st.tuples(st.just("skip"), st.integers(0, 10)),
        st.tuples(st.just("read"), st.integers(1, 40)),
    ),
    max_size=60,
)


@given(capacity=st.integers(1, 30), channels=st.integers(1, 3), actions=actions)
def test_delivered_and_lost_add_up_to_captured(
    capacity: int, channels: int, actions: list[tuple[str, int]]
) -> None:
    ring = Ring(capacity, Wakeup())
    captured = 0
    chunks: list[Chunk] = []
    real: set[int] = set()
    for action, count in [*actions, ("write", 1), *[("read", 1000)] * 100]:
        if action == "write":
            ring.write(ramp(captured, count, channels))
            real.update(range(captured, captured + count))
            captured += count
        elif action == "skip":
            ring.skip(count)
            captured += count
        elif (chunk := ring.read(count)) is not None:
            assert chunk.frames.shape[1] == channels
            chunks.append(chunk)

    delivered = [i for c in chunks for i in range(c.start, c.start + len(c.frames))]
    assert [i for c in chunks for i in c.frames[:, 0].tolist()] == delivered
    assert set(delivered) <= real
    assert delivered == sorted(set(delivered))
    assert ring.captured == captured
    assert len(delivered) + ring.lost == captured
    assert sum(c.lost for c in chunks) == ring.lost


def test_the_newest_audio_survives_when_nobody_reads() -> None:
    ring = Ring(8, Wakeup())

    ring.write(ramp(0, 100, 1))

    chunk = ring.read(100)
    assert chunk is not None
    assert (chunk.start, chunk.lost, chunk.frames[:, 0].tolist()) == (92, 92, [*range(92, 100)])


def test_what_was_read_is_not_changed_by_later_writes() -> None:
    ring = Ring(4, Wakeup())
    ring.write(ramp(0, 4, 1))
    chunk = ring.read(4)

    ring.write(ramp(4, 4, 1))

    assert chunk is not None
    assert chunk.frames[:, 0].tolist() == [0, 1, 2, 3]


def test_a_writer_may_use_its_buffer_again() -> None:
    ring, buffer = Ring(4, Wakeup()), ramp(0, 4, 1)
    ring.write(buffer)

    buffer[:] = -1.0

    chunk = ring.read(4)
    assert chunk is not None
    assert chunk.frames[:, 0].tolist() == [0, 1, 2, 3]


def test_a_ring_takes_the_memory_of_what_waits_in_it() -> None:
    tracemalloc.start()
    ring = Ring(10_000_000, Wakeup())
    for start in range(0, 1_000_000, 1_000):
        ring.write(ramp(start, 1_000, 2))
        ring.read(1_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_the_bell_is_silent_until_the_awaited_frame_is_there() -> None:
    class Counted(Wakeup):
        rung = 0

        def ring(self) -> None:
            self.rung += 1
            super().ring()

    ring = Ring(100, wakeup := Counted())
    ring.await_frame(25)
    rung = []
    for start in range(0, 40, 10):
        ring.write(ramp(start, 10, 1))
        rung.append(wakeup.rung)
    assert rung == [0, 0, 1, 2]


def test_a_reader_in_another_thread_never_sees_torn_audio() -> None:
    ring = Ring(256, wakeup := Wakeup())
    chunks: list[Chunk] = []
    total = 200_000

    def write() -> None:
        for start in range(0, total, 64):
            ring.write(ramp(start, 64, 2))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive() or ring.captured > ring.lost + sum(len(c.frames) for c in chunks):
        if (chunk := ring.read(100)) is not None:
            chunks.append(chunk)
        else:
            wakeup.wait(0.01)
    writer.join()

    for chunk in chunks:
        expected = ramp(chunk.start, len(chunk.frames), 2)
        np.testing.assert_array_equal(chunk.frames, expected)
    assert sum(len(c.frames) + c.lost for c in chunks) == ring.captured
    assert ring.captured >= total


def test_the_bell_wakes_once_for_what_rang_before() -> None:
    wakeup = Wakeup()
    wakeup.ring()
    wakeup.wait(60.0)
    waited = threading.Event()

    def wait() -> None:
        wakeup.wait(60.0)
        waited.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not waited.wait(0.05)
    wakeup.ring()
    waiter.join(10.0)
    assert waited.is_set()
