"""What is told of an archive that nobody watches."""

from __future__ import annotations

import io

from rich.console import Console

from rtclassify.archive.units import Outcome, Unit
from rtclassify.cli.headway import Headway
from rtclassify.testing import ManualClock


def test_where_nobody_watches_a_line_tells_each_half_minute_how_far_it_is() -> None:
    out, clock = io.StringIO(), ManualClock()
    todo = [Unit(f"{number}.wav", 2_000_000, 1) for number in range(1_500)]

    with Headway(Console(file=out), todo, done=500, clock=clock) as headway:
        for number, unit in enumerate(todo[:1_000]):
            clock.advance(0.1)
            headway.count(unit, Outcome(error="7.wav is broken.") if number == 7 else Outcome(60.0))

    *lines, last = out.getvalue().splitlines()
    assert lines == [
        "rtclassify: 7.wav is broken.",
        "rtclassify: 801 of 2,000 recordings, 5.0 hours, 598 × real time, 0:02:00 left",
        "rtclassify: 1,102 of 2,000 recordings, 10.0 hours, 599 × real time, 0:01:30 left",
        "rtclassify: 1,403 of 2,000 recordings, 15.0 hours, 599 × real time, 0:01:00 left",
    ]
    assert last == (
        "rtclassify: 999 labelled, 1 could not be, 500 were before, 500 left for the next run: "
        "16.6 hours, 599 × real time."
    )
