"""Laws of the watch: for any audio, any cuts, any losses and any moment of stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from alarm_audio import RATE, noise, programme, sine, stereo
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.alarm_kinds import KINDS, Limits
from rtclassify.alarm_settings import AlarmSettings
from rtclassify.alarms.readings import Meters
from rtclassify.alarms.watch import Watch
from rtclassify.clock import Line
from rtclassify.config import LabelSettings
from rtclassify.events import Alarm, Event, Heartbeat
from rtclassify.pipeline import Pipeline
from rtclassify.sources import Tap
from rtclassify.sources.convert import Converter
from rtclassify.stream import AudioBlock, CaptureLost, Gap, Item, Opened, Samples
from rtclassify.testing import EnvelopeClassifier, ManualClock

LINE = Line(0.0, 50.0, float(RATE), 0.002)
TALK = programme(10.0)
SCENES: dict[str, Samples] = {
    "programme": stereo(TALK),
    "silence": stereo(noise(-70.0, 10.0)),
    "digital-silence": np.zeros((10 * RATE, 2), np.float32),
    "clipping": stereo(np.clip(300.0 * TALK, -1.0, 1.0)),
    "leg-missing": stereo(TALK, 0.001 * TALK),
    "out-of-phase": stereo(TALK, -TALK),
    "test-tone": stereo(sine(-18.0, 10.0)),
    "hiss": stereo(noise(-30.0, 10.0)),
}


def impatient(limits: Limits) -> Limits:
    return replace(limits, trigger_s=limits.trigger_s and 1.0, release_s=limits.release_s and 0.5)


IMPATIENT = AlarmSettings({name: impatient(kind.limits) for name, kind in KINDS.items()})


def pipeline(clock: ManualClock) -> Pipeline:
    classifier = EnvelopeClassifier(rate=RATE, window=RATE, hop=RATE // 4, cell=RATE // 4)
    watch = Watch({"a": IMPATIENT}, rate=RATE, utc=clock.utc)
    return Pipeline(classifier, ["a"], LabelSettings(), watch)


def converter(rate_in: int = RATE) -> Converter:
    return Converter([Tap("a", ())], source="test", inputs=2, rate_in=rate_in, rate=RATE, legs=True)


@st.composite
def programmes(draw: st.DrawFn) -> Samples:
    scenes = draw(
        st.lists(st.tuples(st.sampled_from([*SCENES]), st.floats(0.1, 4.0)), min_size=1, max_size=5)
    )
    return np.concatenate([SCENES[name][: round(seconds * RATE)] for name, seconds in scenes])


@st.composite
def cuts(draw: st.DrawFn, total: int) -> list[tuple[int, int]]:
    inner = draw(st.lists(st.integers(1, max(1, total - 1)), max_size=10, unique=True))
    return list(pairwise([0, *sorted(edge for edge in inner if edge < total), total]))


def alarms_of(events: Sequence[Event]) -> list[Alarm]:
    return [event for event in events if isinstance(event, Alarm)]


def heard(
    frames: Samples, pieces: Sequence[tuple[int, int]], *, together: bool, rate_in: int
) -> list[Event]:
    convert, core = converter(rate_in), pipeline(ManualClock())
    items = [item for a, b in pieces for item in convert.push(a, frames[a:b], LINE)]
    if together:
        return core.push(items) + core.finish()
    return [event for item in items for event in core.push([item])] + core.finish()


@settings(deadline=None, max_examples=40)
@given(data=st.data(), frames=programmes(), rate_in=st.sampled_from([RATE, 11_025, 48_000]))
def test_how_audio_is_cut_into_blocks_never_shows_in_alarms(
    data: st.DataObject, frames: Samples, rate_in: int
) -> None:
    """Be it resampled or not: frames are taken for ones of any rate."""
    first, second = (data.draw(cuts(len(frames))) for _ in range(2))

    said = heard(frames, first, together=False, rate_in=rate_in)
    assert said == heard(frames, second, together=True, rate_in=rate_in)


@settings(deadline=None, max_examples=10)
@given(others=st.lists(programmes(), min_size=1, max_size=40), frames=programmes())
def test_what_other_channels_bring_never_shows_in_readings(
    others: list[Samples], frames: Samples
) -> None:
    """Not in the last bit, however many are measured together."""
    names = [f"{number}" for number in range(1 + len(others))]
    blocks = [
        AudioBlock(name, 0, audio.mean(axis=1))
        for name, audio in zip(names, [frames, *others], strict=True)
    ]
    alone = Meters(names[:1], RATE).push(blocks[:1])
    together = Meters(names, RATE).push(blocks)

    assert repr(together[0]) == repr(alone[0])


@settings(deadline=None, max_examples=60)
@given(data=st.data(), frames=programmes())
def test_every_alarm_that_was_raised_is_cleared_once_and_after(
    data: st.DataObject, frames: Samples
) -> None:
    """Through losses, other devices, pauses and stops; heartbeats list what is raised."""
    clock = ManualClock()
    core, convert = pipeline(clock), converter()
    events: list[Event] = []
    for start, end in data.draw(cuts(len(frames))):
        items: list[Item] = [*convert.push(start, frames[start:end], LINE)]
        mishap = data.draw(st.sampled_from(["", "", "", "gap", "lost", "opened", "pause", "stop"]))
        if mishap == "gap":
            items = [Gap("a", item.start, item.end, "drawn") for item in items]  # type: ignore[union-attr]
        elif mishap in ("lost", "opened"):
            name = data.draw(st.sampled_from("xy"))
            news = CaptureLost("a", name) if mishap == "lost" else Opened("a", name)
            items = [news, *items]
        elif mishap == "pause":
            for _ in range(4):
                clock.advance(1.0)
                events += core.beat(clock.now())
        elif mishap == "stop":
            break
        events += core.push(items)
        clock.advance((end - start) / RATE)
        events += core.beat(clock.now())
        assert isinstance(events[-1], Heartbeat)
        (status,) = events[-1].channels
        assert {alarm.incident for alarm in status.alarms} == raised(alarms_of(events))
    alarms = alarms_of(events + core.finish())

    assert raised(alarms) == set()
    numbers = [alarm.incident for alarm in alarms if alarm.raised]
    assert numbers == list(range(len(numbers)))
    assert len(alarms) == 2 * len(numbers)


def raised(alarms: Sequence[Alarm]) -> set[int]:
    """Return the incidents that are raised in the end; each goes up once and down once."""
    open_kinds: dict[int, str] = {}
    for alarm in alarms:
        if alarm.raised:
            assert alarm.kind not in open_kinds.values()
            open_kinds[alarm.incident] = alarm.kind
        else:
            assert open_kinds.pop(alarm.incident) == alarm.kind
    return set(open_kinds)
