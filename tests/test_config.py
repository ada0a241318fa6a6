"""Settings are read whole or refused with a sentence that helps."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtclassify.alarm_kinds import KINDS, Limits
from rtclassify.alarm_settings import Expected
from rtclassify.cli.parts import alarms_of
from rtclassify.cli.run import read_settings
from rtclassify.config import ChannelSettings, LabelSettings, Settings, load, parse
from rtclassify.errors import ConfigError

RULE = {"label": "speech", "at_least": 0.2, "in_any_min": 30}
CHANNEL = {"name": "a", "source": "demo"}
EXAMPLE = Path(__file__).parent.parent / "rtclassify.example.toml"
KNOWN = {
    "model", "hop_s", "device", "runtime", "publish", "sinks", "status", "replay", "security",
    "journal", "labels", "alarms", "channel",
}  # fmt: skip


def test_the_example_says_what_the_defaults_are() -> None:
    assert load(EXAMPLE) == Settings()


def test_what_the_example_only_mentions_is_usable_too() -> None:
    text = EXAMPLE.read_text("utf-8")
    bare = [line.removeprefix("# ") for line in text.splitlines()]
    lines = [line for line in bare if re.match(r"\w+ = |\[+[\w.]+\]+$", line)]
    said = parse(tomllib.loads("\n".join(lines)))
    assert said.channels[1] == ChannelSettings("studio", "soundcard:Scarlett", (3, 4))
    assert said.security.clients == Path("/etc/rtclassify/clients")
    assert said.alarms.command == ("/usr/local/bin/page-me", "--urgent")
    assert said.alarms.webhook == "https://HOST/alarms"
    assert said.alarms.expected == (
        Expected("speech", 0.2, 30, (0, 1, 2, 3, 4), 6 * 60, 10 * 60, ("main",)),
    )


def test_a_kind_of_alarm_can_be_changed_or_switched_off() -> None:
    chosen = parse({"alarms": {"silence": {"trigger": -50, "release": -45}, "hiss": {"on": False}}})

    assert chosen.alarms.kinds == {
        **{name: kind.limits for name, kind in KINDS.items() if name != "hiss"},
        "silence": Limits(-50.0, 10.0, -45.0, 3.0),
    }


@given(st.text(min_size=1).filter(lambda key: key not in KNOWN))
def test_an_unknown_key_names_a_known_one(key: str) -> None:
    with pytest.raises(ConfigError, match="is not a known key; did you mean ") as refusal:
        parse({key: 1})
    assert str(refusal.value).rstrip("?").rpartition(" ")[2] in KNOWN


def test_a_channel_changes_what_holds_for_all_of_them() -> None:
    quiet = {**CHANNEL, "name": "b", "alarms": {"silence": {"trigger_s": 40}, "hiss": {"on": True}}}
    for_all = {"silence": {"trigger": -50, "release": -45}, "hiss": {"on": False}}
    chosen = parse({"alarms": for_all, "channel": [CHANNEL, quiet]})

    a, b = chosen.channels
    kinds = alarms_of(b, chosen).kinds
    assert alarms_of(a, chosen) == chosen.alarms
    assert kinds["silence"] == Limits(-50.0, 40.0, -45.0, 3.0)
    assert (kinds["hiss"], "hiss" in chosen.alarms.kinds) == (KINDS["hiss"].limits, False)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"modle": "x"}, "modle is not a known key; did you mean model?"),
        ({"labels": {"treshold": 0.5}}, "did you mean labels.threshold?"),
        ({"channel": [{"name": "a", "sauce": "demo"}]}, "did you mean channel.source?"),
        ({"model": ""}, "model = '' must be text in quotes"),
        ({"publish": 5565}, "publish = 5565 must be text in quotes"),
        ({"hop_s": True}, "hop_s = True must be a number from 0.01 to 60."),
        ({"hop_s": float("nan")}, "hop_s = nan must be a number from 0.01 to 60."),
        ({"sinks": "jsonl:-"}, "sinks = 'jsonl:-' must be a list, such as"),
        ({"status": "0.0.0.0:5567"}, "must be a port of this machine alone, such as"),
        ({"status": "127.0.0.1"}, "must be a port of this machine alone, such as"),
        ({"status": "127.0.0.1:75565"}, "must be a port of this machine alone, such as"),
        ({"security": {"servr_key": "a"}}, "did you mean security.server_key?"),
        ({"security": {"open": "yes"}}, "security.open = 'yes' must be true or false."),
        ({"device": "tpu"}, "device = 'tpu' must be one of auto, cpu, gpu."),
        ({"labels": {"threshold": 1}}, "labels.threshold = 1 must be a number from 0.01 to 0.99."),
        ({"labels": 1}, "labels = 1 must be a table; write [labels]."),
        ({"alarms": {"silense": {}}}, "alarms.silense is not a known key; did you mean alarms.s"),
        ({"alarms": {"silence": False}}, "alarms.silence = False must be a table"),
        ({"alarms": {"silence": {"on": 1}}}, "alarms.silence.on = 1 must be true or false."),
        ({"alarms": {"silence": {"trigger": 1}}}, "alarms.silence.trigger = 1 must be a number"),
        ({"alarms": {"silence": {"trigger": -50}}}, "set it to that or above."),
        ({"alarms": {"hiss": {"release": 0.5}}}, "set it to that or below."),
        ({"alarms": {"no-capture": {"trigger": 1}}}, "did you mean alarms.no-capture.trigger_s?"),
        ({"alarms": {"time_zone": "Mars/Base"}}, "alarms.time_zone = 'Mars/Base' is not known"),
        ({"alarms": {"time_zone": "../x"}}, "alarms.time_zone = '../x' is not known"),
        ({"alarms": {"command": "page-me"}}, "must list a program and its arguments"),
        ({"alarms": {"webhook": "file:///etc/passwd"}}, "must begin with http:// or https://"),
        ({"alarms": {"expected": {}}}, "write [[alarms.expected]]."),
        ({"alarms": {"expected": [{"label": "speech"}]}}, "alarms.expected.at_least is missing"),
        ({"alarms": {"expected": [{**RULE, "days": "monday"}]}}, '"mon-fri" or "sat"'),
        ({"alarms": {"expected": [{**RULE, "hours": "6-10"}]}}, '"06:00-10:00"'),
        ({"alarms": {"expected": [{**RULE, "hours": "06:00-25:00"}]}}, '"06:00-10:00"'),
        (
            {"alarms": {"expected": [{**RULE, "channels": ["b"]}]}},
            "alarms.expected.channels = 'b' is no channel's name; name one of main.",
        ),
        (
            {"alarms": {"expected": [{**RULE, "hours": "06:00-06:20"}]}},
            "alarms.expected.in_any_min = 30 must be a number from 1 to 20.",
        ),
        (
            {"channel": [{**CHANNEL, "alarms": {"silense": {}}}]},
            "channel.alarms.silense is not a known key; did you mean channel.alarms.silence?",
        ),
        ({"channel": {}}, "write [[channel]]."),
        ({"channel": []}, "write [[channel]]."),
        ({"channel": [{"name": "a"}]}, "channel.source is missing"),
        ({"channel": [{"name": "A/B", "source": "demo"}]}, "channel.name = 'A/B' is not made of"),
        ({"channel": [{"name": "a", "source": "demo", "channels": [0]}]}, "counted from 1"),
        ({"channel": [{"name": "a", "source": "demo", "channels": [1, 1]}]}, "each once"),
        ({"channel": [{"name": "a", "source": "demo"}] * 2}, "'a' is used twice"),
    ],
)
def test_a_refusal_says_what_was_found_and_wanted(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(table)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"hop_s = ", "is not valid TOML"), (b"\xff", "is not valid TOML"), (None, "cannot be read")],
)
def test_a_file_that_is_no_settings_file_is_named(
    tmp_path: Path, content: bytes | None, part: str
) -> None:
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as refusal:
        load(path)
    assert str(path) in str(refusal.value)
    assert part in str(refusal.value)


def test_flags_go_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('model = "mine"\nhop_s = 1\n[labels]\nthreshold = 0.7\n')
    flags = {"hop_s": 2.0, "channel": [{"name": "a", "source": "demo"}]}

    assert read_settings(path, flags) == Settings(
        model="mine",
        hop_s=2.0,
        labels=LabelSettings(threshold=0.7),
        channels=(ChannelSettings("a", "demo"),),
    )


def test_the_file_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rtclassify.toml").write_text('model = "here"')
    assert read_settings(None, {}).model == "here"
