"""The kinds of alarms, and what raises and clears each unless configured.

One table, `KINDS`, says it all; docs/alarms.md says it to people.
"""

from __future__ import annotations

from dataclasses import dataclass

EXPECTED = "expected-content"


@dataclass(frozen=True, slots=True)
class Limits:
    """What raises an alarm and what clears it.

    Args:
        trigger: The figure from which there is trouble; None where trouble is a yes or a no.
        trigger_s: How long it must last to raise the alarm.
        release: The figure from which all is well; what lies between changes nothing.
        release_s: How long that must last to clear the alarm.
    """

    trigger: float | None
    trigger_s: float
    release: float | None
    release_s: float


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alarm.

    Args:
        limits: What raises and clears it unless configured.
        rises: Whether trouble lies at the trigger and above, rather than at it and below.
        low: The least that trigger and release can be set to.
        high: The most.
        trouble: What to say when it is raised, with ``{}`` for the figure and names for what
            else the watch knows.
        over: What to say when it is cleared.
    """

    limits: Limits
    rises: bool
    low: float
    high: float
    trouble: str
    over: str


KINDS: dict[str, Kind] = {
    "no-capture": Kind(
        Limits(None, 15.0, None, 1.0), True, 0.0, 0.0,
        "no audio arrives: {reason}", "audio arrives again",
    ),
    "digital-silence": Kind(
        Limits(None, 10.0, None, 1.0), True, 0.0, 0.0,
        "digital silence: nothing but zeros arrives", "more than zeros arrives again",
    ),
    "silence": Kind(
        Limits(-60.0, 10.0, -57.0, 3.0), False, -120.0, -10.0,
        "silence at {:.1f} dBFS", "the silence is over",
    ),
    "clipping": Kind(
        Limits(0.1, 15.0, 0.02, 5.0), True, 0.0001, 100.0,
        "clipped: {:.2f} % of ten seconds stand still at full scale", "it clips no more",
    ),
    "leg-missing": Kind(
        Limits(30.0, 10.0, 20.0, 3.0), True, 3.0, 120.0,
        "one leg of the stereo pair is missing: it is {:.0f} dB below the other one",
        "both legs of the stereo pair are there again",
    ),
    "out-of-phase": Kind(
        Limits(-0.7, 10.0, -0.3, 3.0), False, -1.0, 0.9,
        "the legs of the stereo pair are out of phase: correlation {:.2f}",
        "the legs of the stereo pair are in phase again",
    ),
    "device-changed": Kind(
        Limits(None, 0.0, None, 0.0), True, 0.0, 0.0,
        "the audio comes from {device}, and came from {first} at first", "{first} delivers again",
    ),
    "stuck-loop": Kind(
        Limits(0.997, 120.0, 0.98, 20.0), True, 0.5, 0.9999,
        "the same audio comes again and again: it was heard {period_s:.1f} s before too",
        "the audio goes on",
    ),
    "test-tone": Kind(
        Limits(0.95, 10.0, 0.8, 2.0), True, 0.1, 0.99,
        "a steady tone of {tone_hz:.0f} Hz", "the steady tone is over",
    ),
    "hiss": Kind(
        Limits(0.45, 30.0, 0.35, 2.0), True, 0.05, 0.56,
        "steady noise, as of an open squelch: flatness {:.2f}", "the steady noise is over",
    ),
}  # fmt: skip
