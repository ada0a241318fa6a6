"""The benchmark command, run as a person runs it, and its arithmetic."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from test_engine import untrained
from typer.testing import CliRunner

from rtclassify.bench.measure import _latencies_ms
from rtclassify.bench.rig import ORDER
from rtclassify.bench.stopwatch import Stopwatch
from rtclassify.cli import app
from rtclassify.errors import UsageError


def test_a_stage_within_a_stage_counts_once() -> None:
    watch = Stopwatch()

    inner = watch.timed("inner", lambda: time.sleep(0.02))
    with watch.stage("outer"):
        inner()
    taken = watch.taken()

    assert taken["inner"] >= 0.02 > taken["outer"]
    assert watch.taken() == {}


def test_latency_counts_from_the_last_sample_and_waits_for_the_turn_before() -> None:
    """Audio is there each tenth of a second; the first turn takes so long that the second waits."""
    late = _latencies_ms([0.25, 0.01, 0.01], [1.1, 1.2, 1.3], [[1.1], [1.15, 1.2], []])

    assert late == pytest.approx([250.0, 210.0, 160.0])


def test_it_measures_every_stage_and_says_so_as_json_and_as_a_picture(tmp_path: Path) -> None:
    model, picture = untrained(tmp_path / "tiny"), tmp_path / "cost.png"

    result = CliRunner().invoke(app, [
        "bench", "--model", str(model), "--channels", "1,2", "--hops", "0.5,1", "--seconds", "1",
        "--threads", "0", "--json", "--plot", str(picture),
    ])  # fmt: skip

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found["stages_us"]) == set(ORDER)
    assert all(stage["mean"] > 0 for stage in found["stages_us"].values())
    assert found["realtime_factor"] > 0
    assert (
        0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]
    )
    assert [cost["channels"] for cost in found["by_channels"]] == [1, 2]
    assert [cost["hop_s"] for cost in found["by_hop"]] == [0.5, 1.0]
    assert found["machine"]["cores"]
    assert found["versions"]["numpy"]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("wrong", ["", "one", "0", "1,,2"])
def test_a_list_that_is_none_is_refused(wrong: str) -> None:
    result = CliRunner().invoke(app, ["bench", "--channels", wrong])

    assert isinstance(result.exception, UsageError)
    assert "write it like 1,10,100" in str(result.exception)
