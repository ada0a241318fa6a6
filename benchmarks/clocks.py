"""Whether the error that the stream states of its times is honest, and small enough to be of use.

Simulates cards and clocks that misbehave, dates a label each half second as the daemon does, and
prints how far the times are off, how often the stated bound covers that, and how large it is. Off
from what: from what the machine's clock, as it is set when the label is published, says of the
moment of capture.

    python benchmarks/clocks.py [--seeds 5]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtclassify.clock import Timeline

RATE = 48_000
STEP_S = 0.5
HOUR_S = 3600.0
SETTLED_S = 600.0
SELDOM = 0.05

Seconds = NDArray[np.float64]
Dice = np.random.Generator


@dataclass(frozen=True)
class World:
    """What happens to one card, by half seconds of its audio.

    Args:
        clock_s: What the machine's steady clock really showed when each half second ended.
        late_s: By how much later the card says that it was.
        wall_s: What the machine's UTC was ahead of its steady clock when the label was published.
        opened: Where the card was opened anew.
    """

    clock_s: Seconds
    late_s: Seconds
    wall_s: Seconds
    opened: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Outcome:
    """How far times were off, and what was stated of that, both in seconds, by labels."""

    off_s: Seconds
    stated_s: Seconds

    @property
    def covered(self) -> float:
        """Share of the labels whose time was off by no more than stated."""
        return float(np.mean(self.off_s <= self.stated_s))


def card(dice: Dice, *, ppm: float = 30.0, seconds: float = HOUR_S) -> World:
    """A card that is off by `ppm`, dated by the ADC times of a sound server."""
    halves = round(seconds / STEP_S)
    clock_s = np.arange(halves, dtype=np.float64) * (STEP_S * (1 + ppm * 1e-6))
    return World(100.0 + clock_s, server_jitter(dice, halves), np.zeros(halves))


def server_jitter(dice: Dice, count: int) -> Seconds:
    """As measured on a virtual card: 2.4 ms, some of them up to 23 ms late."""
    late = np.minimum(dice.exponential(7e-3, count), 23e-3) * dice.binomial(1, SELDOM, count)
    return np.asarray(dice.normal(0.0, 1.7e-3, count) + late)


def wandering(dice: Dice) -> World:
    """Neighbouring ADC times are off alike, for some twenty seconds, as measured on one card."""
    world, kept = card(dice), np.exp(-STEP_S / 20.0)
    noise = dice.normal(0.0, 2.4e-3 * np.sqrt(1 - kept**2), len(world.clock_s))
    for half in range(1, len(noise)):
        noise[half] += kept * noise[half - 1]
    return replace(world, late_s=noise)


def never_early(dice: Dice) -> World:
    """Each mark is late, by a time that has no favourite."""
    world = card(dice)
    return replace(world, late_s=dice.exponential(2.4e-3, len(world.clock_s)))


def fine_hardware(dice: Dice) -> World:
    """A card whose driver tells its times within a tenth of a millisecond."""
    return finely(card(dice), dice)


def finely(world: World, dice: Dice) -> World:
    """Let the driver do so."""
    return replace(world, late_s=dice.normal(0.0, 1e-4, len(world.clock_s)))


def stalled_callbacks(dice: Dice) -> World:
    """One mark in twenty is up to half a second late."""
    world = card(dice)
    count = len(world.clock_s)
    stalls = dice.uniform(0.0, 0.5, count) * dice.binomial(1, SELDOM, count)
    return replace(world, late_s=world.late_s + stalls)


def temperature(dice: Dice) -> World:
    """A crystal that warms up by 20 ppm in a quarter of an hour, and then follows a heater."""
    world = card(dice)
    at_s = world.clock_s - world.clock_s[0]
    ppm = 20 * (1 - np.exp(-at_s / 300.0)) + 3 * np.sin(2 * np.pi * at_s / 1200.0)
    return replace(world, clock_s=world.clock_s + np.cumsum(ppm * 1e-6 * STEP_S))


def leap_smear(dice: Dice) -> World:
    """The machine's clock is slowed by 11.6 ppm, from the first hour to the second."""
    return slewed(card(dice, seconds=3 * HOUR_S), ppm=-11.6, since_s=HOUR_S, for_s=HOUR_S)


def slew(dice: Dice) -> World:
    """The machine's clock is put right by 50 ms, at 500 ppm."""
    return slewed(card(dice), ppm=500.0, since_s=HOUR_S / 2, for_s=100.0)


def slewed(world: World, *, ppm: float, since_s: float, for_s: float) -> World:
    """Let the machine's clocks run faster for a while, the steady one too."""
    passed_s = world.clock_s - world.clock_s[0] - since_s
    return replace(world, clock_s=world.clock_s + np.clip(passed_s, 0.0, for_s) * ppm * 1e-6)


def clock_steps(dice: Dice) -> World:
    """The machine's UTC is set two seconds forward, and later three back."""
    world = card(dice)
    wall_s = world.wall_s.copy()
    wall_s[len(wall_s) // 3 :] += 2.0
    wall_s[len(wall_s) * 2 // 3 :] -= 3.0
    return replace(world, wall_s=wall_s)


def suspend(dice: Dice) -> World:
    """The machine sleeps for an hour; its card goes on afterwards as if nothing had been."""
    world = card(dice)
    asleep_s = np.where(np.arange(len(world.clock_s)) < len(world.clock_s) // 2, 0.0, HOUR_S)
    return replace(world, clock_s=world.clock_s + asleep_s)


def reopened(dice: Dice) -> World:
    """The machine sleeps for an hour, and its card is opened anew."""
    world = suspend(dice)
    return replace(world, opened=(0, len(world.clock_s) // 2))


WORLDS: Mapping[str, Callable[[Dice], World]] = {
    "a card 100 ppm off": lambda dice: card(dice, ppm=100.0),
    "times that wander together": wandering,
    "times that are never early": never_early,
    "fine hardware": fine_hardware,
    "stalled callbacks": stalled_callbacks,
    "temperature": temperature,
    "leap smear": leap_smear,
    "a slew of 500 ppm": slew,
    "the same, fine hardware": lambda dice: finely(slew(dice), dice),
    "clock steps": clock_steps,
    "suspend": suspend,
    "suspend, card reopened": reopened,
}


def play(world: World) -> Outcome:
    """Date a label each half second."""
    off_s, stated_s = np.zeros(len(world.clock_s)), np.zeros(len(world.clock_s))
    half = round(STEP_S * RATE)
    for number, true_s in enumerate(world.clock_s):
        if number in world.opened:
            timeline = Timeline(RATE)
        sample = number * half
        timeline.mark(sample, true_s + world.late_s[number])
        line = timeline.line
        if line is None:
            raise AssertionError("a mark makes a line")
        utc_ms = math.floor((line.at(sample) + world.wall_s[number]) * 1e3)
        off_s[number] = abs(utc_ms / 1e3 - (true_s + world.wall_s[number]))
        stated_s[number] = round(line.error_at(sample), 4)
    return Outcome(off_s, stated_s)


def main() -> None:
    """Simulate and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=5)
    seeds = range(options.parse_args().seeds)
    print(f"{'':27}{'covered':>9}{'stated':>9}{'off: median':>14}{'99 %':>8}{'most':>12}  ms")
    marks, began = 0, time.process_time()
    for name, make in WORLDS.items():
        outcomes = [play(make(np.random.default_rng(seed))) for seed in seeds]
        off_ms = np.concatenate([outcome.off_s for outcome in outcomes]) * 1e3
        bound_ms = np.median(np.concatenate([outcome.stated_s for outcome in outcomes])) * 1e3
        covered = np.mean([outcome.covered for outcome in outcomes])
        p50, p99 = np.percentile(off_ms, [50, 99])
        print(f"{name:27}{covered:9.2%}{bound_ms:9.2f}{p50:14.2f}{p99:8.2f}{off_ms.max():12.1f}")
        marks += len(off_ms)
    spent_s = time.process_time() - began
    drifting = [play(card(np.random.default_rng(seed), ppm=100.0)) for seed in seeds]
    settled = max(outcome.off_s[round(SETTLED_S / STEP_S) :].max() for outcome in drifting)
    print(f"a card 100 ppm off, after ten minutes: at most {settled * 1e3:.1f} ms off")
    print(f"{spent_s / marks * 1e6:.1f} µs of the core a mark")


if __name__ == "__main__":
    main()
