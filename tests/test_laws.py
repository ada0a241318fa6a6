"""The laws of the core, held for any audio, any cuts, any losses and any moment of stopping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.errors import SourceError
from rtclassify.events import Event, Heartbeat, Label, Segment, StreamInfo
from rtclassify.loop import run
from rtclassify.pipeline import Begin, Pipeline
from rtclassify.ring import Wakeup
from rtclassify.sinks.wire import Encoder
from rtclassify.stream import AudioBlock, CaptureLost, Gap, Item, Samples, Window
from rtclassify.testing import EnvelopeClassifier, ManualClock, MemorySink, ScriptedSource
from rtclassify.windower import KEPT_HOPS, Windower

RATE, WINDOW, HOP, CELL = 100, 60, 10, 5
LINE = Line(0.0, 50.0, RATE, 0.002)
SCENES = {
    "speech": 0.1,
    "music": -0.8,
    "speech+music": 0.8,
    "other": -0.1,
    "silence": 1e-4,
    "digital-silence": 0.0,
}


def classifier(*, window: int = WINDOW, hop: int = HOP) -> EnvelopeClassifier:
    return EnvelopeClassifier(rate=RATE, window=window, hop=hop, cell=CELL)


def pipeline(*channels: str, final_after_s: float = 0.3, begin: Begin | None = None) -> Pipeline:
    settings = LabelSettings(min_segment_s=0.3, silence_after_s=0.4, final_after_s=final_after_s)
    return Pipeline(classifier(), channels or ("a",), settings, begin=begin)


@st.composite
def programmes(draw: st.DrawFn) -> Samples:
    """Audio made of scenes of any length, some samples of it sprinkled with noise."""
    scenes = draw(st.lists(st.tuples(st.sampled_from([*SCENES]), st.integers(1, 150)), max_size=8))
    audio = np.concatenate([np.full(n, SCENES[name]) for name, n in scenes] or [np.zeros(0)])
    seed = draw(st.integers(0, 99))
    return (audio * np.random.default_rng(seed).uniform(0.7, 1.0, len(audio))).astype(np.float32)


@st.composite
def cuts(draw: st.DrawFn, total: int) -> list[tuple[int, int]]:
    """Cut ``[0, total)`` into contiguous pieces."""
    inner = draw(st.lists(st.integers(1, max(1, total - 1)), max_size=12, unique=True))
    edges = [0, *sorted(edge for edge in inner if edge < total), total]
    return list(pairwise(edges))


def block(audio: Samples, start: int, end: int, channel: str = "a") -> AudioBlock:
    return AudioBlock(channel, start, audio[start:end], LINE)


def events_of(items: Sequence[Item], *, together: bool, final_after_s: float = 0.3) -> list[Event]:
    core = pipeline(final_after_s=final_after_s)
    if together:
        return core.push(items) + core.finish()
    return [event for item in items for event in core.push([item])] + core.finish()


def labels_of(events: Sequence[Event], *, final: bool) -> list[Label]:
    return [event for event in events if isinstance(event, Label) and event.final is final]


@settings(deadline=None)
@given(data=st.data(), audio=programmes(), final_after_s=st.floats(0.0, 1.0))
def test_how_audio_is_cut_into_blocks_never_shows(
    data: st.DataObject, audio: Samples, final_after_s: float
) -> None:
    """Partition: not in labels, be they final or not, nor in segments and states."""
    first = [block(audio, *piece) for piece in data.draw(cuts(len(audio)))]
    second = [block(audio, *piece) for piece in data.draw(cuts(len(audio)))]

    said = events_of(first, together=False, final_after_s=final_after_s)
    assert said == events_of(second, together=True, final_after_s=final_after_s)


@settings(deadline=None)
@given(
    data=st.data(),
    total=st.integers(1, 800),
    length=st.integers(1, 70),
    hop=st.integers(1, 70),
)
def test_windows_cover_exactly_the_audio_that_arrived(
    data: st.DataObject, total: int, length: int, hop: int
) -> None:
    """Gap: dropping any blocks removes just the windows that needed them."""
    length = max(length, hop)
    audio = np.arange(total, dtype=np.float32)
    core = Pipeline(recording := Recorder(length, hop), ["a"], LabelSettings())
    heard = np.zeros(total, bool)
    for start, end in data.draw(cuts(total)):
        if data.draw(st.booleans()):
            heard[start:end] = True
            core.push([block(audio, start, end)])
        elif data.draw(st.booleans()):
            core.push([Gap("a", start, end, "drawn")])

    expected = [s for s in range(0, total - length + 1, hop) if heard[s : s + length].all()]
    assert recording.starts == expected


class Recorder(EnvelopeClassifier):
    """Remembers the windows that it was given; audio is a ramp, so it knows what it should see."""

    def __init__(self, window: int, hop: int) -> None:
        super().__init__(rate=RATE, window=window, hop=hop, cell=hop)
        self.starts: list[int] = []

    def scores(self, windows: Sequence[Window]) -> Samples:
        for window in windows:
            assert window.samples.tolist() == list(range(window.start, window.start + self.window))
            self.starts.append(window.start)
        return super().scores(windows)


@st.composite
def mishaps(draw: st.DrawFn, audio: Samples, *, capture_lost: bool = True) -> list[Item]:
    """Deliver audio in pieces, of which some are lost, and stop at any of them."""
    items: list[Item] = []
    for start, end in draw(cuts(len(audio))):
        kinds: list[list[Item]] = [
            [block(audio, start, end)],
            [Gap("a", start, end, "drawn")],
            [],
        ]
        if capture_lost:
            kinds += [[CaptureLost("a", "drawn"), kind[0]] for kind in kinds[:2]]
        items += draw(st.sampled_from(kinds[:1] * 4 + kinds[1:]))
    return items[: draw(st.integers(0, len(items)))]


@settings(deadline=None)
@given(data=st.data(), audio=programmes())
def test_every_segment_that_opened_is_closed_whenever_it_stops(
    data: st.DataObject, audio: Samples
) -> None:
    """Stop: through losses and gaps, at any moment; segments are in order and do not overlap."""
    items = data.draw(mishaps(audio))

    segments = [
        e for e in events_of(items, together=data.draw(st.booleans())) if isinstance(e, Segment)
    ]

    opened = [(s.number, s.label, s.start) for s in segments if s.end is None]
    closed = [(s.number, s.label, s.start) for s in segments if s.end is not None]
    assert opened == closed
    assert [number for number, _, _ in opened] == list(range(len(opened)))
    spans = [(s.start, s.end) for s in segments if s.end is not None]
    assert all(start < end for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@settings(deadline=None)
@given(data=st.data(), audio=programmes())
def test_segments_cover_exactly_what_was_classified(data: st.DataObject, audio: Samples) -> None:
    events = events_of(data.draw(mishaps(audio)), together=True)
    finals = labels_of(events, final=True)

    segments = [(e.start, e.end) for e in events if isinstance(e, Segment) and e.end is not None]

    covered = [at for start, end in segments for at in range(start, end)]
    assert covered == [at for label in finals for at in range(label.start, label.end)]


@settings(deadline=None)
@given(data=st.data(), audio=programmes())
def test_lost_counts_what_never_arrived(data: st.DataObject, audio: Samples) -> None:
    """Conservation downstream of the ring: delivered + lost = where the channel stands."""
    core = pipeline()
    delivered = 0
    for start, end in data.draw(cuts(len(audio))):
        if data.draw(st.booleans()):
            delivered += end - start
            core.push([block(audio, start, end)])
        else:
            core.push([Gap("a", start, end, "drawn")])

        (status,) = core.status
        stands = core._windowers["a"].end
        assert delivered + status.lost == stands


@settings(deadline=None)
@given(data=st.data(), one=programmes(), two=programmes())
def test_channels_do_not_hear_each_other(data: st.DataObject, one: Samples, two: Samples) -> None:
    audio = {"a": one, "b": two}
    items = [
        block(audio[name], start, end, name)
        for name in audio
        for start, end in data.draw(cuts(len(audio[name])))
    ]
    mixed = sorted(items, key=lambda item: item.start)
    both = pipeline("a", "b")
    events = [e for item in mixed for e in both.push([item])] + both.finish()

    for name in audio:
        alone = pipeline(name)
        own = alone.push([i for i in items if i.channel == name]) + alone.finish()
        assert [e for e in events if e.channel == name] == own  # type: ignore[union-attr]


@settings(deadline=None)
@given(audio=programmes(), stop=st.integers(0, 20))
def test_the_loop_ends_cleanly_at_any_turn(audio: Samples, stop: int) -> None:
    """Stop, for the loop: whatever turn it is, sinks hear the end and nothing twice."""
    script = [[block(audio, *piece)] for piece in pieces(len(audio), 25)]
    sink, turns = MemorySink(), iter(range(stop))

    run(
        [ScriptedSource(script, ["a"])], pipeline(), [sink],
        clock=ManualClock(), wakeup=Wakeup(), turn=lambda: next(turns, None) is not None,
    )  # fmt: skip

    for final in (False, True):
        starts = [label.start for label in labels_of(sink.events, final=final)]
        assert starts == sorted(set(starts))
    segments = [e for e in sink.events if isinstance(e, Segment)]
    assert sum(1 if s.end is None else -1 for s in segments) == 0
    assert isinstance(sink.events[-1], Heartbeat)


def test_the_loop_says_the_same_when_sources_are_read_ahead() -> None:
    """With a thread, and stopped while something that was read ahead is still to be heard."""
    audio = np.concatenate([np.full(300, value) for value in SCENES.values()]).astype(np.float32)

    def said(stop: int, begin: Begin | None = None) -> list[Event]:
        script = [[block(audio, *piece)] for piece in pieces(len(audio), 25)]
        sink, turns = MemorySink(), iter(range(stop))
        run(
            [ScriptedSource(script, ["a"])], pipeline(begin=begin), [sink], clock=ManualClock(),
            wakeup=Wakeup(), turn=lambda: next(turns, None) is not None, ahead=bool(begin),
        )  # fmt: skip
        return [event for event in sink.events if not isinstance(event, Heartbeat)]

    with ThreadPoolExecutor(1) as thread:
        scores = classifier().scores
        for stop in (1, 2, 17, 1000):
            # What was read ahead when it is stopped is heard all the same.
            heard = min(stop + 1, len(audio) // 25)
            assert said(stop, lambda windows: thread.submit(scores, windows).result) == said(heard)


def test_sources_take_turns_and_no_batch_is_large() -> None:
    """Whoever has much waiting keeps nobody else from being heard."""
    names = [f"{number}" for number in range(6)]
    audio = np.full(10 * WINDOW, 0.1, np.float32)
    many = [block(audio, *piece, name) for name in names[:1] for piece in pieces(len(audio), 10)]
    script = [many[at : at + 40] for at in range(0, len(many), 40)]
    busy = ScriptedSource(script, names[:1])
    others = [
        ScriptedSource([[block(audio, *piece, name)] for piece in pieces(100, 10)], [name])
        for name in names[1:]
    ]
    taken: list[list[str]] = []

    class Seen(Pipeline):
        """Notes what it takes."""

        def take(self, items: Sequence[Item]) -> Callable[[], list[Event]]:
            taken.append([item.channel for item in items])
            return super().take(items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtclassify.loop.ENOUGH", 20)
        run(
            [busy, *others], Seen(classifier(), names, LabelSettings()), [MemorySink()],
            clock=ManualClock(), wakeup=Wakeup(), turn=lambda: True,
        )  # fmt: skip

    assert taken[0] == names[:1] * 40
    first = {name: next(n for n, batch in enumerate(taken) if name in batch) for name in names}
    assert max(first.values()) <= 1
    assert sum(map(len, taken)) == len(many) + 10 * len(others)


def test_a_source_that_breaks_while_it_is_read_ahead_still_lets_the_end_be_told() -> None:
    class Breaking(ScriptedSource):
        """Tears where its script is over, instead of ending."""

        def read(self) -> Sequence[Item]:
            if super().ended:
                raise SourceError("torn")
            return super().read()

        @property
        def ended(self) -> bool:
            return False

    sink = MemorySink()
    audio = np.full(3 * WINDOW, 0.1, np.float32)
    script = [[block(audio, *piece)] for piece in pieces(len(audio), 50)]
    with pytest.raises(SourceError, match="torn"):
        run(
            [Breaking(script, ["a"])], pipeline(), [sink], clock=ManualClock(), wakeup=Wakeup(),
            turn=lambda: True, ahead=True,
        )  # fmt: skip

    segments = [event for event in sink.events if isinstance(event, Segment)]
    assert [s.end is None for s in segments] == [True, False]
    assert isinstance(sink.events[-1], Heartbeat)


def pieces(total: int, size: int) -> list[tuple[int, int]]:
    return [(at, min(at + size, total)) for at in range(0, total, size)]


def test_a_heartbeat_comes_each_second_of_the_clock() -> None:
    clock, sink = ManualClock(), MemorySink()
    turns = iter(range(95))

    def turn() -> bool:
        clock.advance(0.1)
        return next(turns, None) is not None

    run([ScriptedSource([[]] * 200, ["a"])], pipeline(), [sink], clock=clock, wakeup=Ready(),
        turn=turn)  # fmt: skip

    beats = [e for e in sink.events if isinstance(e, Heartbeat)]
    assert len(beats) == 10 + 1


class Ready(Wakeup):
    """A bell that has always rung: nothing waits."""

    def wait(self, timeout_s: float) -> None:
        pass


def test_a_windower_keeps_no_more_than_it_needs() -> None:
    """Memory stays flat however long it listens."""
    windower = Windower("a", window=WINDOW, hop=HOP)

    for _ in range(1000):
        windower.push(np.zeros(17, np.float32), None)

    assert len(windower._buffer) == WINDOW + KEPT_HOPS * HOP


@pytest.mark.parametrize("hops", [1, 2, 5])
def test_all_due_windows_of_a_push_are_one_batch(hops: int) -> None:
    batches: list[int] = []

    class Counting(EnvelopeClassifier):
        def scores(self, windows: Sequence[Window]) -> Samples:
            batches.append(len(windows))
            return super().scores(windows)

    core = Pipeline(Counting(rate=RATE, window=WINDOW, hop=HOP), ["a", "b", "c"], LabelSettings())
    audio = np.full(WINDOW + (hops - 1) * HOP, 0.1, np.float32)

    core.push([block(audio, 0, len(audio), name) for name in "abc"])

    assert batches == [3 * hops]


@settings(deadline=None)
@given(data=st.data(), audio=programmes(), phase=st.integers(0, HOP - 1))
def test_a_channel_whose_hops_begin_later_says_the_same_of_later_audio(
    data: st.DataObject, audio: Samples, phase: int
) -> None:
    """What a phase does is what leaving that much audio out at the beginning would do."""
    settled = LabelSettings(min_segment_s=0.3, silence_after_s=0.4, final_after_s=0.3)
    late = Pipeline(classifier(), ["a"], settled, phases={"a": phase})
    items = [block(audio, *piece) for piece in data.draw(cuts(len(audio)))]

    said = [e for item in items for e in late.push([item])] + late.finish()

    plain = events_of([block(audio[phase:], 0, len(audio) - phase)], together=True)
    shifted = [(e.start + phase, e.end + phase, e.label, e.probs)
               for e in plain if isinstance(e, Label)]  # fmt: skip
    assert [(e.start, e.end, e.label, e.probs) for e in said if isinstance(e, Label)] == shifted


def test_the_loop_hands_all_sources_to_one_batch() -> None:
    batches: list[int] = []

    class Counting(EnvelopeClassifier):
        def scores(self, windows: Sequence[Window]) -> Samples:
            batches.append(len(windows))
            return super().scores(windows)

    core = Pipeline(Counting(rate=RATE, window=WINDOW, hop=HOP), ["a", "b"], LabelSettings())
    audio = np.full(WINDOW, 0.1, np.float32)
    sources = [ScriptedSource([[block(audio, 0, WINDOW, name)]], [name]) for name in "ab"]

    run(sources, core, [], clock=ManualClock(), wakeup=Wakeup(), turn=lambda: True)

    assert batches == [2]


def test_a_recording_replayed_gives_the_same_bytes() -> None:
    """Replay: run after run, message by message."""
    audio = np.concatenate([np.full(500, value) for value in SCENES.values()]).astype(np.float32)

    def said() -> list[bytes]:
        info = StreamInfo("cafe0123", "envelope@0", ("speech", "music"), RATE, WINDOW, HOP)
        encoder = Encoder(info, ManualClock())
        script = [[block(audio, *piece)] for piece in pieces(len(audio), 37)]
        sink = MemorySink()
        run([ScriptedSource(script, ["a"])], pipeline(), [sink], clock=ManualClock(),
            wakeup=Wakeup(), turn=lambda: True)  # fmt: skip
        return [part for event in sink.events for part in encoder.encode(event).frames()]

    first = said()

    assert len(first) > 100
    assert said() == first
