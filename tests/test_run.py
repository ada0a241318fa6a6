"""``rtclassify run`` as a person starts it, talks to it and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 16_000
PATIENCE_S = 120.0
NOBODY = "http://127.0.0.1:9/nobody-serves-here.mp3"


class Daemon:
    """A running `rtclassify run` with its standard error and its labels as JSON lines."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._stderr, self._labels = folder / "stderr", folder / "labels.jsonl"
        command = [
            sys.executable, "-m", "rtclassify", "run", "--publish", "tcp://127.0.0.1:*",
            "--sink", f"jsonl:{self._labels}", *arguments,
        ]  # fmt: skip
        with self._stderr.open("w") as stderr:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=stderr, cwd=folder
            )

    @property
    def log(self) -> str:
        return self._stderr.read_text()

    def messages(self, kind: str = "") -> list[dict[str, Any]]:
        text = self._labels.read_text() if self._labels.exists() else ""
        messages = [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
        return [message for message in messages if message["topic"].startswith(kind)]

    def await_(self, claim: Callable[[], Any], what: str) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not claim():
            assert self.process.poll() is None, f"it ended before {what}:\n{self.log}"
            assert time.monotonic() < limit, f"{what} did not come to pass:\n{self.log}"
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Daemon]:
    daemon = Daemon(folder, *arguments)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait()


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rtclassify", *arguments],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        env={**os.environ, **environ},
    )  # fmt: skip


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three seconds of noise."""
    path = tmp_path / "programme.wav"
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 3 * RATE)
    soundfile.write(path, noise, RATE)
    return path


def test_a_recording_plays_to_its_end_and_that_is_a_success(
    tmp_path: Path, light_model: tuple[str, ...], recording: Path
) -> None:
    with started(tmp_path, *light_model, "--source", str(recording), "--hop", "0.2") as daemon:
        assert daemon.ended() == 0

    labels = daemon.messages("label/main/")
    hop = RATE // 5
    spans = {
        final: [(m["start"], m["end"]) for m in labels if m["final"] is final]
        for final in (False, True)
    }
    assert spans == {
        False: [(s, s + hop) for s in range(RATE - hop, 3 * RATE, hop)],
        True: [(s, s + hop) for s in range(0, 3 * RATE, hop)],
    }
    assert [m["seq"] for m in labels] == list(range(26))
    assert [segment["state"] for segment in daemon.messages("segment/")][-1] == "closed"
    assert "Traceback" not in daemon.log


def test_the_log_is_calm_and_says_what_runs_where(
    tmp_path: Path, tiny_bundle: Path, recording: Path
) -> None:
    with started(tmp_path, "--model", str(tiny_bundle), "--source", f"air={recording}") as daemon:
        assert daemon.ended() == 0

    told = [line.partition(" ")[2] for line in daemon.log.splitlines()]
    assert told[0].startswith("loading tiny@")
    assert told[1].startswith("tiny@")
    assert " on " in told[1]
    assert told[2].startswith("labels go to tcp://127.0.0.1:")
    assert told[3].startswith("air: programme since")
    assert told[-1].startswith("air: closed after 0:00:03 of ")
    assert len(told) < len(daemon.messages("label/"))


def test_a_source_that_is_away_does_not_stop_the_others(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    with started(tmp_path, *light_model, "--source", NOBODY, "--source", "demo") as daemon:
        daemon.await_(lambda: daemon.messages("label/ch2/"), "a label of the demo")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0

    assert "warning: ch1: no capture: " in daemon.log
    states = {c["channel"]: c["state"] for c in daemon.messages("heartbeat/")[-1]["channels"]}
    assert states["ch1"] == "no-capture"


def test_an_alarm_reaches_the_stream_the_log_and_a_command_and_is_cleared_at_the_end(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.sin(np.arange(3 * RATE) / 4), RATE)
    (tmp_path / "settings.toml").write_text(
        '[alarms]\ncommand = ["/bin/sh", "-c", "cat >> told"]\n[alarms.test-tone]\ntrigger_s = 1\n'
        '[[channel]]\nname = "main"\nsource = "tone.wav"\n'
    )
    with started(tmp_path, *light_model, "--config", "settings.toml") as daemon:
        assert daemon.ended() == 0

    raised, cleared = daemon.messages("alarm/main/")
    assert (raised["kind"], raised["state"], cleared["state"]) == ("test-tone", "raised", "cleared")
    assert raised["incident"] == cleared["incident"]
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert told[0] == raised  # a busy machine may have no time left for what comes at the end
    assert daemon.log.count("ALARM a steady tone of") == 1
    assert "Traceback" not in daemon.log


def test_a_hangup_begins_a_new_epoch_with_the_new_settings(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    file = tmp_path / "rtclassify.toml"
    settings = '[[channel]]\nname = "one"\nsource = "demo"\n'
    file.write_text(settings)
    with started(tmp_path, *light_model) as daemon:
        daemon.await_(lambda: daemon.messages("label/one/"), "a label")
        file.write_text("hop = 1")
        daemon.signal(signal.SIGHUP)
        daemon.await_(lambda: "did you mean hop_s?" in daemon.log, "the refusal")
        file.write_text(settings.replace("one", "two"))
        daemon.signal(signal.SIGHUP)
        daemon.await_(lambda: daemon.messages("label/two/"), "a label of the new channel")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0

    before, after = daemon.messages("label/one/"), daemon.messages("label/two/")
    assert {message["epoch"] for message in before}.isdisjoint(m["epoch"] for m in after)
    assert [message["seq"] for message in after] == list(range(len(after)))
    states = [(m["channel"], m["state"]) for m in daemon.messages("segment/")]
    assert states.count(("one", "open")) == states.count(("one", "closed")) > 0
    assert states.count(("two", "open")) == states.count(("two", "closed")) > 0
    assert daemon.log.count("loading tiny@") == 1


def test_ctrl_c_while_the_model_loads_ends_it_cleanly(tmp_path: Path, tiny_bundle: Path) -> None:
    with started(tmp_path, "--model", str(tiny_bundle), "--source", "demo") as daemon:
        daemon.await_(lambda: "loading tiny@" in daemon.log, "the start")
        daemon.signal(signal.SIGINT)
        assert daemon.ended() == 0

    assert "stopping on SIGINT" in daemon.log
    assert "Traceback" not in daemon.log
    assert daemon.messages("label/") == []


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--nonsense"], 2, "--nonsense"),
        (["--device", "tpu"], 2, "'tpu' is not one of"),
        (["--hop", "61"], 3, "hop_s = 61.0 must be a number from 0.01 to 60."),
        (["--config", "/nowhere.toml"], 3, "/nowhere.toml cannot be read"),
        (["--source", "a=demo", "--source", "a=demo"], 3, "'a' is used twice"),
        (["--source", "/nowhere.wav"], 4, "/nowhere.wav"),
        (["--model", "nonesuch"], 5, "There is no model 'nonesuch'"),
        (["--hop", "0.33"], 5, "use 0.3 or 0.4 s."),
        (["--publish", "udp://127.0.0.1:1"], 6, "'udp://127.0.0.1:1' is not an address"),
        (["--publish", "tcp://0.0.0.0:5565"], 3, "or security.open = true."),
        (["--sink", "jsonl:/nowhere/labels"], 6, "jsonl:/nowhere/labels cannot be written to"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence_and_an_exit_code(
    tiny_bundle: Path, arguments: list[str], code: int, part: str
) -> None:
    done = run("run", "--publish", "tcp://127.0.0.1:*", "--model", str(tiny_bundle), *arguments)

    assert done.returncode == code, done.stderr
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_rule_for_an_answer_that_the_model_does_not_give_is_refused(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    settings = tmp_path / "settings.toml"
    rule = '[[alarms.expected]]\nlabel = "jazz"\nat_least = 0.5\nin_any_min = 30\n'
    settings.write_text(rule)

    done = run("run", "--model", str(tiny_bundle), "--config", str(settings))

    assert done.returncode == 3, done.stderr
    assert "alarms.expected.label = 'jazz' is nothing that" in done.stderr


def test_an_address_in_use_is_told_before_the_model_loads(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    arguments = (*light_model, "--source", "demo")
    with started(tmp_path, "--publish", "ipc://" + str(tmp_path / "labels"), *arguments) as daemon:
        daemon.await_((tmp_path / "labels").exists, "the socket")
        done = run("run", "--publish", "ipc://" + str(tmp_path / "labels"), *arguments)

    assert done.returncode == 6
    assert "is in use by another program" in done.stderr
    assert "loading" not in done.stderr


def test_a_missing_system_library_is_named(tmp_path: Path, light_model: tuple[str, ...]) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    done = run(
        "run", "--publish", "tcp://127.0.0.1:*", *light_model, "--source",
        "soundcard:default", PYTHONPATH=str(tmp_path),
    )  # fmt: skip

    assert done.returncode == 8, done.stderr
    assert "apt install libportaudio2" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rtclassify", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "rtclassify.cli.run" in loaded
    heavy = {"tensorflow", "keras", "numpy", "sounddevice", "av", "soundfile", "zmq", "matplotlib"}
    assert loaded & heavy == set()
