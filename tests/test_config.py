"""Settings are read whole or refused with a sentence that helps."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtclassify.cli.run import read_settings
from rtclassify.config import ChannelSettings, LabelSettings, Settings, load, parse
from rtclassify.errors import ConfigError

EXAMPLE = Path(__file__).parent.parent / "rtclassify.example.toml"
KNOWN = {
    "model", "hop_s", "device", "publish", "sinks", "status", "replay", "security", "journal",
    "labels", "channel",
}  # fmt: skip


def test_the_example_says_what_the_defaults_are() -> None:
    assert load(EXAMPLE) == Settings()


def test_what_the_example_only_mentions_is_usable_too() -> None:
    text = EXAMPLE.read_text("utf-8")
    bare = [line.removeprefix("# ") for line in text.splitlines()]
    lines = [line for line in bare if re.match(r"\w+ = |\[+\w+\]+$", line)]
    said = parse(tomllib.loads("\n".join(lines)))
    assert said.channels[1] == ChannelSettings("studio", "soundcard:Scarlett", (3, 4))
    assert said.security.clients == Path("/etc/rtclassify/clients")


@given(st.text(min_size=1).filter(lambda key: key not in KNOWN))
def test_an_unknown_key_names_a_known_one(key: str) -> None:
    with pytest.raises(ConfigError, match="is not a known key; did you mean ") as refusal:
        parse({key: 1})
    assert str(refusal.value).rstrip("?").rpartition(" ")[2] in KNOWN


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
