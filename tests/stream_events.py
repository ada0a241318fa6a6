"""Events of every kind, as hypothesis draws them and as a script tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from hypothesis import strategies as st

from rtclassify.alarm_kinds import EXPECTED, KINDS, Limits
from rtclassify.events import (
    Alarm,
    CaptureState,
    ChannelStatus,
    Event,
    Heartbeat,
    Label,
    Level,
    Loudness,
    Segment,
    Stamp,
    StateChange,
    StreamInfo,
)

INFO = StreamInfo(
    epoch="9f31c07a",
    model="speech-music@0123456789ab",
    labels=("speech", "music"),
    rate=16_000,
    window=80_000,
    hop=8_000,
)

channels = st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True)
indices = st.integers(0, 10**12)
decibels = st.none() | st.floats(-150.0, 6.0)
levels = st.builds(Level, decibels, decibels)
stamps = st.none() | st.builds(Stamp, st.floats(0.0, 1e6), st.floats(0.0, 10.0))
names = st.sampled_from(
    ["speech", "music", "speech+music", "other", "unsure", "silence", "digital-silence"]
)
states = st.sampled_from(get_args(CaptureState))
probabilities = st.fixed_dictionaries(dict.fromkeys(INFO.labels, st.floats(0.0, 1.0)))

labels = st.builds(
    Label,
    channel=channels,
    start=indices,
    end=indices,
    probs=probabilities,
    label=names,
    final=st.booleans(),
    level=levels,
    lost=indices,
    captured=stamps,
)
segments = st.builds(
    Segment,
    channel=channels,
    number=st.integers(0, 10**9),
    label=names,
    start=indices,
    end=st.none() | indices,
    probs=probabilities,
    begun=stamps,
    ended=stamps,
)
changes = st.builds(
    StateChange, channel=channels, state=states, reason=st.text(), start=indices, captured=stamps
)
figures = st.none() | st.floats(-1e3, 1e3)
alarms = st.builds(
    Alarm,
    channel=channels,
    incident=st.integers(0, 10**9),
    kind=st.sampled_from([*KINDS, EXPECTED]),
    raised=st.booleans(),
    since=indices,
    sentence=st.text(min_size=1),
    measured=figures,
    limits=st.builds(Limits, figures, st.floats(0.0, 1e5), figures, st.floats(0.0, 1e5)),
    captured=stamps,
)
loudnesses = st.builds(Loudness, *[decibels] * 5, indices)
statuses = st.builds(
    ChannelStatus,
    channel=channels,
    state=states,
    reason=st.text(),
    since=indices,
    label=st.none() | names,
    level=levels,
    end=indices,
    lost=indices,
    alarms=st.lists(alarms, max_size=2).map(tuple),
    loudness=st.none() | loudnesses,
)
heartbeats = st.builds(Heartbeat, st.lists(statuses, max_size=3).map(tuple))
events: st.SearchStrategy[Event] = labels | segments | changes | alarms | heartbeats


def label(
    channel: str = "main",
    number: int = 0,
    *,
    name: str = "speech",
    final: bool = False,
    captured: Stamp | None = None,
) -> Label:
    """Return the label of the hop `number`."""
    start = number * INFO.hop
    probs = {"speech": 0.98765, "music": 0.01234}
    return Label(
        channel, start, start + INFO.hop, probs, name, final, Level(-23.456, -9.876), 0, captured
    )


def status(channel: str = "main", **changed: object) -> ChannelStatus:
    """Return the status of a channel that has heard speech from its first sample on."""
    usual: dict[str, object] = {
        "state": "programme",
        "reason": "",
        "since": 0,
        "label": "speech",
        "level": Level(-23.456, -9.876),
        "end": INFO.window,
        "lost": 0,
    }
    return ChannelStatus(channel, **{**usual, **changed})  # type: ignore[arg-type]


def alarm(
    channel: str = "main", *, raised: bool = True, incident: int = 0, captured: Stamp | None = None
) -> Alarm:
    """Return a silence, raised or cleared."""
    sentence = KINDS["silence"].trouble.format(-71.25) if raised else KINDS["silence"].over
    measured, limits = (-71.25 if raised else -20.5), KINDS["silence"].limits
    return Alarm(
        channel, incident, "silence", raised, 160_000, sentence, measured, limits, captured
    )


def one_of_each(channel: str = "main", *, captured: Stamp | None = None) -> Sequence[Event]:
    """Return one event of every kind, as they might follow one another on a channel."""
    probs = {"speech": 0.9, "music": 0.1}
    return [
        StateChange(channel, "programme", "", 0, captured),
        label(channel, captured=captured),
        Segment(channel, 0, "speech", 0, None, probs, captured, None),
        alarm(channel, captured=captured),
        Heartbeat((status(channel),)),
        Segment(channel, 0, "speech", 0, INFO.window, probs, captured, captured),
    ]
