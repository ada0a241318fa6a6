"""What live sources share: captures come and go, sample indices keep time.

A live source is a sequence of *captures*: each time its device or server is opened, one begins,
with a ring and frame indices of its own. A writer thread fills it; the `Feed` of the thinking
thread turns one after the other into blocks, and what lies between two into a `Gap` as long as
the clock says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from rtclassify.clock import Line
from rtclassify.errors import SourceError
from rtclassify.ring import Chunk, Ring
from rtclassify.sources import Request
from rtclassify.sources.convert import Converter, missing_input
from rtclassify.stream import CaptureLost, Gap, Item, Opened, Samples

RING_S = 30.0
"""How long the thinking thread may be busy elsewhere, as it is while a model loads."""

BITE = 2**17
"""Samples that are converted at once, half a megabyte: what a core has at hand."""

MARKS = 4096
"""More than a ring's worth of blocks."""


class Fit(Protocol):
    """What dates frames: `rtclassify.clock.Timeline` or something that fits otherwise."""

    def mark(self, sample: int, clock_s: float) -> None:
        """Note that `sample` was captured at `clock_s`."""

    @property
    def line(self) -> Line | None:
        """The current fit, or None before the first mark."""


class ArrivalFit:
    """Date frames by when they arrived, at the nominal rate.

    A frame cannot arrive before it is captured, and some are held up: in a buffer, on the way, in
    a server's first burst. The line through the least delayed frame of the last `SPAN_S` is
    therefore the best guess; a delay that all frames share stays unknown.

    Args:
        rate: Frames per second.
        error_s: How far the line may be off.
    """

    SPAN_S = 300.0

    def __init__(self, rate: int, *, error_s: float) -> None:
        self._rate = rate
        self._error_s = error_s
        self._earliest: deque[tuple[float, float]] = deque()

    def mark(self, sample: int, clock_s: float) -> None:
        """Note that `sample` arrived at `clock_s`."""
        began_s = clock_s - sample / self._rate
        while self._earliest and self._earliest[-1][1] >= began_s:
            self._earliest.pop()
        self._earliest.append((clock_s, began_s))
        while self._earliest[0][0] < clock_s - self.SPAN_S:
            self._earliest.popleft()

    @property
    def line(self) -> Line | None:
        """The line, or None before the first mark."""
        if not self._earliest:
            return None
        return Line(0.0, self._earliest[0][1], float(self._rate), self._error_s)


class Capture:
    """One opening of a live source: written by its thread, read by the thinking thread.

    Args:
        request: What the source is asked for.
        device: What it is that was opened, as the system names it.
        rate: Frames per second.
        inputs: Samples in a frame.

    Raises:
        SourceError: If every tap wants inputs that do not exist.
    """

    def __init__(self, request: Request, *, device: str, rate: int, inputs: int) -> None:
        missing = [missing_input(tap, inputs) for tap in request.taps]
        if all(missing):
            raise SourceError(f"{request.name}: {missing[0]}; name inputs counted from 1.")
        self.device = device
        self.rate = rate
        self.inputs = inputs
        self.taps = [tap for tap, lack in zip(request.taps, missing, strict=True) if not lack]
        self.ring = Ring(round(RING_S * rate), request.wakeup)
        self.marks: deque[tuple[int, float]] = deque(maxlen=MARKS)

    def write(self, frames: Samples, captured_s: float) -> None:
        """Append a copy of `frames`, shape (n, inputs), the first captured at `captured_s`."""
        self.marks.append((self.ring.captured, captured_s))
        self.ring.write(frames)


class Feed:
    """Turn successive captures into items of every tap.

    Owned by the thinking thread; nothing here blocks.

    Args:
        request: What the source is asked for.
        fit: Makes what dates a capture of the given rate.
    """

    def __init__(self, request: Request, fit: Callable[[int], Fit]) -> None:
        self._request = request
        self._make_fit = fit
        self._capture: Capture | None = None
        self._converter: Converter | None = None
        self._fit: Fit
        self._last: Line | None = None
        self._end = 0
        self._due = 0
        self._announced = False
        self._reason = ""

    def begin(self, capture: Capture) -> list[Item]:
        """Read from `capture` from now on; say what it is, and which taps it cannot serve."""
        items = self.end("the source changed its format")
        self._capture, self._due = capture, 0
        self._fit = self._make_fit(capture.rate)
        items += [Opened(tap.channel, capture.device) for tap in capture.taps]
        for tap in self._request.taps:
            if missing := missing_input(tap, capture.inputs):
                items.append(CaptureLost(tap.channel, missing))
        return items

    def end(self, reason: str) -> list[Item]:
        """Read no more from the current capture; return what it still held."""
        capture, items = self._capture, list[Item]()
        if capture is not None:
            items += self._hear(capture, most=capture.ring.captured)
        if self._converter is not None:
            items += self._converter.finish()
            self._end = self._converter.end
            self._reason = reason
        self._capture = self._converter = None
        return items

    def lost(self, reason: str) -> list[Item]:
        """Read no more, and say so, once until audio comes again."""
        items = self.end(reason)
        if not self._announced:
            items += [CaptureLost(tap.channel, reason) for tap in self._request.taps]
        self._announced = True
        return items

    def read(self) -> list[Item]:
        """Return what has arrived once a piece of it is whole, but not more than a second."""
        capture = self._capture
        if capture is None or capture.ring.captured < self._due:
            return []
        return self._hear(capture, most=capture.rate)

    def _hear(self, capture: Capture, *, most: int) -> list[Item]:
        items: list[Item] = []
        bite = max(1, BITE // capture.inputs)
        while most > 0 and (chunk := capture.ring.read(min(most, bite))):
            most -= len(chunk.frames)
            items += self._take(capture, chunk)
        if self._converter is not None:
            items += self._converter.hand_over()
            piece, phase = self._request.piece, self._request.phase
            whole = (self._converter.end - phase) // piece + 1
            self._due = self._converter.frames_for(phase + whole * piece)
            capture.ring.await_frame(self._due)
        return items

    def _take(self, capture: Capture, chunk: Chunk) -> list[Item]:
        while capture.marks:
            self._fit.mark(*capture.marks.popleft())
        items: list[Item] = []
        line = self._fit.line
        if self._converter is None:
            self._converter = self._resume(capture, line)
            gap = (self._end, self._converter.end, self._reason)
            if self._end > 0:
                items += [Gap(tap.channel, *gap) for tap in capture.taps]
        items += self._converter.take(chunk.start, chunk.frames, line)
        self._last = self._converter.delivered(line) if line else None
        return items

    def _resume(self, capture: Capture, line: Line | None) -> Converter:
        """Make the converter of a new capture, so that its indices continue the clock's."""
        self._announced = False
        origin = self._end
        if self._last is not None and line is not None:
            away_s = line.at(0) - self._last.at(self._end)
            # At least one sample: what was captured twice is never contiguous.
            origin += max(1, round(away_s * self._request.rate))
        return Converter(
            capture.taps,
            source=self._request.name,
            inputs=capture.inputs,
            rate_in=capture.rate,
            rate=self._request.rate,
            origin=origin,
            legs=True,
        )


class Backoff:
    """How long to wait before each new attempt: twice as long each time, up to a limit."""

    def __init__(self, *, first_s: float, last_s: float) -> None:
        self._first_s, self._last_s = first_s, last_s
        self._wait_s = first_s

    def reset(self) -> None:
        """Start over: the last attempt worked."""
        self._wait_s = self._first_s

    def next_s(self) -> float:
        """Return the seconds to wait now."""
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._last_s)
        return wait_s
