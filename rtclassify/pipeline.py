"""The deterministic core: blocks of audio in, events out.

`Pipeline` knows no thread, clock, socket or file, and how the audio was cut into blocks never
shows in its events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rtclassify.alarms.readings import Reading
from rtclassify.alarms.watch import Watch
from rtclassify.config import LabelSettings
from rtclassify.events import ChannelStatus, Event, Heartbeat, Label
from rtclassify.finals import Finals
from rtclassify.labels import Labeller
from rtclassify.stream import (
    AudioBlock,
    CaptureLost,
    Classifier,
    Framing,
    Gap,
    Item,
    Opened,
    Samples,
    Window,
)
from rtclassify.windower import HeardHop, Windower

NO_SCORES: Samples = np.empty(0, np.float32)

Begin = Callable[[Sequence[Window]], Callable[[], Samples]]

News = HeardHop | Reading | Gap | CaptureLost | Opened


class Pipeline:
    """Turn items of many channels into events; windows of all channels share one batch.

    Owned by one thread.

    Args:
        classifier: Scores the windows.
        channels: Names of the channels whose items will come.
        settings: How scores become labels.
        watch: What watches the channels; None where nobody wants alarms.
        phases: Where the hops of a channel begin, in samples, for channels that do not begin at 0:
            so those that start together need not come due together.
        begin: Begins to score windows and returns what waits for their scores; without threads,
            which the core knows nothing of, the work is done when it is waited for.
    """

    def __init__(
        self,
        classifier: Classifier,
        channels: Sequence[str],
        settings: LabelSettings,
        watch: Watch | None = None,
        *,
        phases: Mapping[str, int] | None = None,
        begin: Begin | None = None,
    ) -> None:
        classifier.reset()
        self._classifier = classifier
        self._begin = begin or (lambda windows: partial(classifier.scores, windows))
        self._watch = watch
        framing = Framing(classifier.rate, classifier.window, classifier.hop, classifier.cell)
        self._hop_cells = framing.hop // framing.cell
        self._numbers = {name: number for number, name in enumerate(channels)}
        self._windowers = {
            name: Windower(
                name,
                window=framing.window,
                hop=framing.hop,
                phase=(phases or {}).get(name, 0),
            )
            for name in channels
        }
        self._finals = Finals(len(channels), classifier.tails_s, framing, settings)
        self._labellers = {
            name: Labeller(name, classifier.labels, framing, settings) for name in channels
        }

    @property
    def status(self) -> tuple[ChannelStatus, ...]:
        """What is true of each channel now."""
        status = tuple(labeller.status for labeller in self._labellers.values())
        if self._watch is None:
            return status
        return tuple(
            replace(of_one, alarms=self._watch[of_one.channel].alarms, loudness=loudness)
            for of_one, loudness in zip(status, self._watch.loudness, strict=True)
        )

    def push(self, items: Sequence[Item]) -> list[Event]:
        """Take items of any channels, in order within each; return what they bring about.

        Events are in order within each channel.
        """
        return self.take(items)()

    def take(self, items: Sequence[Item]) -> Callable[[], list[Event]]:
        """As `push`, but only begin to score them; return what tells what they bring about.

        More may be taken meanwhile. What was taken first is told first.
        """
        listened = [(item, self._listen(item)) for item in items]
        windows: dict[str, list[Window]] = {item.channel: [] for item in items}
        for item, news in listened:
            windows[item.channel] += [
                n.window for n in news if isinstance(n, HeardHop) and n.window is not None
            ]
        all_windows = [window for of_one in windows.values() for window in of_one]
        scores = self._begin(all_windows) if all_windows else _none
        counts = {channel: len(of_one) for channel, of_one in windows.items()}
        return partial(self._told, listened, counts, scores)

    def _told(
        self,
        listened: Sequence[tuple[Item, Sequence[News]]],
        windows: Mapping[str, int],
        scores: Callable[[], Samples],
    ) -> list[Event]:
        """Return what items bring about, of so many windows of each channel."""
        heard: dict[str, list[News]] = {channel: [] for channel in windows}
        blocks = [item for item, _ in listened if isinstance(item, AudioBlock)]
        readings = iter(self._watch.measure(blocks) if self._watch else [])
        for item, news in listened:
            of_item = next(readings, []) if isinstance(item, AudioBlock) else []
            heard[item.channel] += sorted([*news, *of_item], key=_end_of) if of_item else news
        turns: list[_Turn] = []
        first = 0
        for channel, of_one in heard.items():
            turns.append(_Turn(channel, iter(of_one), _stretches(of_one), first))
            first += windows[channel]
        told = scores()
        events: list[Event] = []
        while turns := [turn for turn in turns if self._until_window(turn, events)]:
            events += self._scored(turns, told)
        return events

    def beat(self, now_s: float) -> list[Event]:
        """Take the time, in clock seconds; return what it brings about, a heartbeat last."""
        alarms = self._watch.beat(now_s) if self._watch else []
        return [*alarms, Heartbeat(self.status)]

    def finish(self) -> list[Event]:
        """Finish every label, close every segment, clear every alarm.

        Nothing may be pushed afterwards.
        """
        last: list[Event] = []
        for channel, labeller in self._labellers.items():
            decided = self._finals.flush(self._numbers[channel])
            last += self._watched(channel, labeller.finish(decided))
        return last + (self._watch.finish() if self._watch else [])

    def _until_window(self, turn: _Turn, events: list[Event]) -> bool:
        """Go on with a channel's news up to its next window; say whether there is one."""
        for news in turn.news:
            if isinstance(news, Reading | Opened):
                events += self._judged(turn.channel, news)
            elif isinstance(news, HeardHop):
                events += self._labellers[turn.channel].heard(news.hop, line=news.line)
                if news.window is not None:
                    return True
            else:
                events += self._watched(turn.channel, self._missed(turn.channel, news))
        return False

    def _scored(self, turns: Sequence[_Turn], scores: Samples) -> list[Event]:
        """Label the hops at which channels have arrived, of all of them at once.

        As many more windows of each come along as all of them have without anything missing.
        """
        count = min(turn.stretches[0] for turn in turns)
        numbers = np.array([self._numbers[turn.channel] for turn in turns])
        mine = scores[np.array([turn.window for turn in turns])[:, np.newaxis] + np.arange(count)]
        newest = mine[:, :, -self._hop_cells :].mean(axis=2, dtype=np.float64).tolist()
        decided = self._finals.add(numbers, mine)
        events: list[Event] = []
        for turn, *windows in zip(turns, newest, decided, strict=True):
            turn.pass_by(count)
            for number, (probs, hops) in enumerate(zip(*windows, strict=True)):
                if number:
                    self._until_window(turn, events)
                labelled = self._labellers[turn.channel].scored(probs, hops)
                events += self._watched(turn.channel, labelled)
        return events

    def _missed(self, channel: str, news: Gap | CaptureLost) -> list[Event]:
        labeller, number = self._labellers[channel], self._numbers[channel]
        decided = self._finals.flush(number)
        if isinstance(news, Gap):
            self._finals.reset(number)
            return labeller.gap(news, decided)
        if self._watch:
            self._watch[channel].lost(news.reason)
        return labeller.lost(news, decided)

    def _watched(self, channel: str, events: list[Event]) -> list[Event]:
        """Return the events and what the watch makes of the final labels among them."""
        if self._watch is None:
            return events
        guard = self._watch[channel]
        finals = [event for event in events if isinstance(event, Label) and event.final]
        return events + [alarm for label in finals for alarm in guard.labelled(label)]

    def _judged(self, channel: str, news: Reading | Opened) -> list[Event]:
        if self._watch is None:
            return []
        guard = self._watch[channel]
        return [*(guard.judge(news) if isinstance(news, Reading) else guard.opened(news))]

    def _listen(self, item: Item) -> Sequence[HeardHop | Gap | CaptureLost | Opened]:
        windower = self._windowers[item.channel]
        if isinstance(item, CaptureLost | Opened):
            return [item]
        gap: list[Gap] = []
        if item.start > windower.end or isinstance(item, Gap):
            reason = item.reason if isinstance(item, Gap) else "missing from the source"
            gap = [Gap(item.channel, windower.end, item.end, reason)]
            if isinstance(item, AudioBlock):
                gap = [Gap(item.channel, windower.end, item.start, reason)]
            windower.restart(gap[0].end)
        if isinstance(item, Gap):
            return gap
        return [*gap, *windower.push(item.samples, item.line)]


@dataclass(slots=True)
class _Turn:
    """Where one channel is in what it has to say.

    Args:
        channel: Its name.
        news: What comes next.
        stretches: How many windows come next without anything missing, then after that, and so on.
        window: Number of the next window.
    """

    channel: str
    news: Iterator[News]
    stretches: deque[int]
    window: int

    def pass_by(self, count: int) -> None:
        """Go on by so many windows of the next stretch."""
        self.window += count
        self.stretches[0] -= count
        if not self.stretches[0]:
            self.stretches.popleft()


def _stretches(news: Sequence[News]) -> deque[int]:
    """Count the windows between gaps and losses, where there are any."""
    counts = [0]
    for one in news:
        if isinstance(one, HeardHop):
            counts[-1] += one.window is not None
        elif isinstance(one, Gap | CaptureLost):
            counts.append(0)
    return deque(count for count in counts if count)


def _none() -> Samples:
    return NO_SCORES


def _end_of(news: News) -> int:
    if isinstance(news, HeardHop):
        return news.hop.end
    return news.end if isinstance(news, Reading | Gap) else 0
