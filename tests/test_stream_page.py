"""docs/stream.md: its examples are messages, and it leaves no field out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from stream_schema import KINDS, SCHEMA, strict_validator

from rtclassify.alarm_kinds import EXPECTED
from rtclassify.alarm_kinds import KINDS as ALARMS

PAGE = (Path(__file__).parent.parent / "docs/stream.md").read_text("utf-8")
SECTIONS = {
    part.partition("\n")[0]: part.partition("\n")[2]
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)
}


def examples(kind: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", SECTIONS[kind], re.DOTALL)
    return [json.loads(line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_a_message_of_its_kind(kind: str) -> None:
    assert examples(kind)
    for example in examples(kind):
        strict_validator(kind).validate(example)


@pytest.mark.parametrize(
    ("definition", "sections"),
    [
        *((kind, ("Every message", kind)) for kind in KINDS),
        *((part, ("heartbeat",)) for part in ("status", "clock", "journal")),
        ("open_segment", ("heartbeat",)),
        ("open_alarm", ("heartbeat",)),
        ("loudness", ("heartbeat",)),
    ],
)
def test_the_page_explains_every_field_of_the_schema(
    definition: str, sections: tuple[str, ...]
) -> None:
    text = "".join(SECTIONS[section] for section in sections)
    explained = set(re.findall(r"`([a-z_]+)`", text))

    assert set(SCHEMA["$defs"][definition]["properties"]) <= explained


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_explains_no_field_that_is_not_in_the_schema(kind: str) -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", SECTIONS[kind], re.MULTILINE)
    explained = {field for row in rows for field in re.findall(r"[a-z_]+", row)}
    nested = ("status",) if kind == "heartbeat" else ()

    known = {field for part in (kind, *nested) for field in SCHEMA["$defs"][part]["properties"]}
    assert explained <= known


def test_the_examples_times_agree_with_their_samples() -> None:
    """Whoever computes with the examples finds that they add up."""
    opened, closed = examples("segment")

    assert opened["id"] == closed["id"]
    assert seconds(closed["utc"]) - seconds(closed["utc_start"]) == pytest.approx(
        (closed["end"] - closed["start"]) / closed["rate"], abs=1e-3
    )


def test_the_example_labels_are_of_one_hop_and_the_final_one_comes_later() -> None:
    provisional, final = examples("label")

    same = ("channel", "start", "end", "utc", "level_dbfs", "peak_dbfs")
    assert [provisional[key] for key in same] == [final[key] for key in same]
    assert (provisional["final"], final["final"]) == (False, True)
    assert provisional["seq"] < final["seq"]
    assert final["latency_ms"] - provisional["latency_ms"] == pytest.approx(2500, abs=50)


def seconds(utc: str) -> float:
    hours, minutes, rest = utc.rstrip("Z").partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_every_kind_of_alarm_is_named() -> None:
    kinds = SCHEMA["$defs"]["alarm_kind"]["enum"]
    assert set(kinds) == {*ALARMS, EXPECTED}
    assert all(f"`{kind}`" in SECTIONS["alarm"] for kind in kinds)


def test_the_example_alarm_is_raised_and_cleared() -> None:
    raised, cleared = examples("alarm")

    assert raised["incident"] == cleared["incident"]
    assert (raised["state"], cleared["state"]) == ("raised", "cleared")
    assert seconds(cleared["utc"]) - seconds(raised["utc"]) == pytest.approx(
        (cleared["since"] - raised["since"]) / raised["rate"], abs=1e-3
    )


def test_every_capture_state_is_explained() -> None:
    for state in SCHEMA["$defs"]["capture_state"]["enum"]:
        assert f"`{state}`:" in SECTIONS["state"]
