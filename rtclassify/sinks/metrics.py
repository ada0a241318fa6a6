"""What Prometheus is told of labelling; docs/integrations.md lists every metric."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rtclassify import __version__
from rtclassify.events import CaptureState, ChannelStatus, Label
from rtclassify.sinks.wire import Encoder

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics(Collector):
    """Counts labels and turns, and remembers what the last heartbeat said of each channel.

    One thread counts and another reads; neither waits for the other for longer than it takes to
    read a number.

    Args:
        encoder: Knows what holds for every event, how the journal is, and the clock.
    """

    def __init__(self, encoder: Encoder) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
        info = encoder.info
        self._rate = info.rate
        self._encoder = encoder
        self._registry = registry = CollectorRegistry()
        self.channels: tuple[ChannelStatus, ...] = ()
        self.turns = Counter("rtclassify_loop_turns", "Turns of the loop.", registry=registry)
        self._labels = Counter(
            "rtclassify_labels", "Labels published.", ["channel", "label", "final"],
            registry=registry,
        )  # fmt: skip
        self._latency = Histogram(
            "rtclassify_label_latency_seconds",
            "From the capture of a hop's last sample to its provisional label.",
            ["channel"], buckets=BUCKETS_S, registry=registry,
        )  # fmt: skip
        model = Info("rtclassify_model", "The model that labels.", registry=registry)
        model.info({"model": info.model, "labels": ",".join(info.labels)})
        build = Info("rtclassify_build", "The program.", registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})
        registry.register(self)

    def count(self, label: Label, now_s: float) -> None:
        """Count a label that was published at `now_s`, in clock seconds."""
        final = str(label.final).lower()
        self._labels.labels(label.channel, label.label, final).inc()
        if label.captured and not label.final:
            self._latency.labels(label.channel).observe(now_s - label.captured.clock_s)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Return what a heartbeat would say; `prometheus_client` calls this."""
        return *self._of_channels(), *self._of_daemon()

    def _of_channels(self) -> Iterable[Metric]:
        lost = CounterMetricFamily(
            "rtclassify_lost_seconds", "Audio lost before it was classified.", labels=["channel"]
        )
        level = GaugeMetricFamily(
            "rtclassify_level_dbfs", "RMS of the newest hop; -Inf for zeros.", labels=["channel"]
        )
        peak = GaugeMetricFamily(
            "rtclassify_peak_dbfs", "Peak of the newest hop; -Inf for zeros.", labels=["channel"]
        )
        capture = GaugeMetricFamily(
            "rtclassify_capture_state", "1 for the state that holds, else 0.",
            labels=["channel", "state"],
        )  # fmt: skip
        for status in self.channels:
            name = status.channel
            lost.add_metric([name], status.lost / self._rate)
            level.add_metric([name], _decibels(status.level.rms_dbfs))
            peak.add_metric([name], _decibels(status.level.peak_dbfs))
            for state in get_args(CaptureState):
                capture.add_metric([name, state], float(state == status.state))
        return lost, level, peak, capture

    def _of_daemon(self) -> Iterable[Metric]:
        if self._encoder.journal is not None:
            journal = self._encoder.journal()
            yield GaugeMetricFamily(
                "rtclassify_journal_failing", "1 while it cannot be written.",
                float(bool(journal.trouble)),
            )  # fmt: skip
            yield GaugeMetricFamily(
                "rtclassify_journal_waiting", "Messages that wait for the disk.", journal.waiting
            )
            yield CounterMetricFamily(
                "rtclassify_journal_missing", "Messages that are not in it.", journal.missing
            )
        synchronised = self._encoder.timekeeping().synchronised
        if synchronised is not None:
            yield GaugeMetricFamily(
                "rtclassify_clock_synchronised", "1 if the machine's is.", float(synchronised)
            )


def _decibels(value: float | None) -> float:
    return float("-inf") if value is None else value
