"""The unit under a real systemd: it starts, reloads, is killed, hangs, and stops."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from rigs.systemd import GUARDED, ROOT, SETTINGS, STATUS, Machine, booted

from rtclassify.apart.meters import NICE
from rtclassify.cli.driving import MANY
from rtclassify.keys import client_keys
from rtclassify.sinks.zmq import Subscription

pytestmark = pytest.mark.rig

WARNING, INFO, ERROR = "4", "6", "3"
DYNAMIC_USERS = range(61_184, 65_520)
LABELS = ("speech", "music", "speech+music", "other", "unsure")


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory, light_model: tuple[str, ...]
) -> Iterator[Machine]:
    """Its daemon runs on TensorFlow until it is killed, and on the light runtime then."""
    with booted(tmp_path_factory.mktemp("machine"), Path(light_model[1])) as machine:
        machine.run("systemctl", "start", "rtclassify")
        yield machine


def status_of(machine: Machine) -> dict[str, str]:
    """Read /proc/PID/status of the daemon."""
    text = machine.run("cat", f"/proc/{machine.known('MainPID')}/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def await_label(machine: Machine) -> str:
    """Return the status line when its first channel has a label; an untrained one, so any."""

    def labelled() -> str:
        status = machine.known("StatusText")
        return status if status.partition(", ")[0].partition(": ")[2] in LABELS else ""

    return str(machine.await_(labelled, "a label in the status line"))


def await_new_start(machine: Machine, restarts: int) -> None:
    machine.await_(lambda: int(machine.known("NRestarts")) > restarts, "a restart")
    machine.await_(lambda: machine.known("ActiveState") == "active", "readiness after a restart")


def test_the_unit_is_tight() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt install systemd")
    unit = ROOT / "systemd/rtclassify.service"
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout


def test_systemd_finds_no_fault_with_the_unit(machine: Machine) -> None:
    assert machine.run("sh", "-c", "systemd-analyze verify rtclassify.service 2>&1") == ""


def test_the_unit_is_ready_when_labels_can_come_and_not_before(machine: Machine) -> None:
    messages = [entry["MESSAGE"] for entry in machine.journal()]
    ready = next(i for i, text in enumerate(messages) if text.startswith("Started rtclassify"))
    assert any(text.startswith("labels go to ipc://") for text in messages[:ready])


def test_the_status_line_says_what_is_heard(machine: Machine) -> None:
    assert "relay: no-capture" in await_label(machine)


def test_subscribers_reach_the_socket_in_the_runtime_directory(machine: Machine) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.connect(f"ipc:///proc/{machine.leader}/root/run/rtclassify/labels")
        socket.subscribe("label/main/")
        assert socket.poll(20_000), "no label came"
        topic, body = socket.recv_multipart()
    assert topic == b"label/main/"
    assert json.loads(body)["channel"] == "main"


def test_holders_of_keys_are_let_in_by_a_daemon_whose_key_systemd_hands_over(
    machine: Machine,
) -> None:
    folder = machine.files / "etc/rtclassify"
    keys = client_keys(folder / "anna.key_secret", folder / "server.key")
    with Subscription(GUARDED, ["label/main/"], keys) as anna:
        assert anna.receive(20.0) is not None


def test_health_and_metrics_are_answered_inside_the_sandbox(machine: Machine) -> None:
    await_label(machine)
    with urllib.request.urlopen(f"http://{STATUS}/health") as answer:
        assert json.load(answer)["alive"] is True
    with urllib.request.urlopen(f"http://{STATUS}/metrics") as answer:
        assert b"rtclassify_build_info" in answer.read()


def test_the_daemon_is_nobody_in_particular_in_the_audio_group(machine: Machine) -> None:
    status = status_of(machine)
    audio = machine.run("getent", "group", "audio").split(":")[2]
    assert int(status["Uid"].split()[0]) in DYNAMIC_USERS
    assert audio in status["Groups"].split()
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_the_journal_tells_levels_apart(machine: Machine) -> None:
    (lost,) = machine.await_(lambda: machine.said("relay: no capture"), "news of the lost channel")
    assert lost["PRIORITY"] == WARNING
    assert machine.said("main: programme since")[0]["PRIORITY"] == INFO


def test_a_reload_with_broken_settings_changes_nothing(machine: Machine) -> None:
    process = machine.known("MainPID")
    machine.settings(SETTINGS.replace("publish", "publsih"))
    machine.run("systemctl", "reload", "rtclassify")

    (refusal,) = machine.await_(lambda: machine.said("not reloaded"), "a refusal")
    assert refusal["PRIORITY"] == ERROR
    assert "did you mean publish?" in refusal["MESSAGE"]
    assert machine.known("MainPID") == process
    assert machine.known("ActiveState") == "active"


def test_a_reload_serves_the_new_settings_in_the_same_process(machine: Machine) -> None:
    process = machine.known("MainPID")
    tcp = SETTINGS.replace("ipc:///run/rtclassify/labels", "tcp://127.0.0.1:*")
    machine.settings(tcp.replace('"main"', '"renamed"'))
    machine.run("systemctl", "reload", "rtclassify")

    machine.await_(lambda: machine.said("renamed: programme since"), "the renamed channel")
    assert machine.said("main: closed after")
    assert machine.said("labels go to tcp://")
    assert machine.known("MainPID") == process
    assert machine.known("NRestarts") == "0"


def test_a_daemon_that_is_killed_comes_back(machine: Machine) -> None:
    restarts, killed = int(machine.known("NRestarts")), machine.known("MainPID")
    machine.settings(f'runtime = "litert"\n{SETTINGS}')
    machine.run("sh", "-c", f"kill -KILL {killed}")
    await_new_start(machine, restarts)
    assert machine.known("MainPID") not in ("0", killed)
    assert machine.said("on CPU, LiteRT")


def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_comes_back(machine: Machine) -> None:
    restarts = int(machine.known("NRestarts"))
    machine.run("sh", "-c", f"kill -STOP {machine.known('MainPID')}")
    await_new_start(machine, restarts)
    assert machine.said("Watchdog timeout")


def test_processes_that_many_channels_have_work_inside_the_sandbox(machine: Machine) -> None:
    head, channel, _ = SETTINGS.split("[[channel]]\n")
    many = "".join(f"[[channel]]\n{channel.replace('main', f'c{n}')}" for n in range(MANY))
    machine.settings(f'runtime = "litert"\n{head}{many}')
    machine.run("systemctl", "restart", "rtclassify")

    await_label(machine)
    family = machine.run("sh", "-c", f"cat /proc/{machine.known('MainPID')}/task/*/children")
    nices = [machine.run("cat", f"/proc/{pid}/stat").split()[18] for pid in family.split()]
    assert {"0", str(NICE)} <= set(nices)
    assert not machine.said("has ended (exit code")


def test_a_stop_closes_what_is_open_and_is_a_success(machine: Machine) -> None:
    before = len(machine.said("closed after"))
    await_label(machine)
    machine.run("systemctl", "stop", "rtclassify")

    assert len(machine.said("closed after")) == before + MANY
    assert machine.known("Result") == "success"
    assert machine.known("ExecMainStatus") == "0"
