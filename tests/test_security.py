"""Keys on real sockets: who is let in, who is not and is told why, and whose files are refused."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from rigs.icecast import free_port
from stream_events import INFO, label
from test_run import started

from rtclassify import curve
from rtclassify.config import SecuritySettings
from rtclassify.curve import identify
from rtclassify.errors import ConfigError, UsageError
from rtclassify.keys import ClientKeys, client_keys, new_pair, read_secret, server_keys
from rtclassify.sinks.wire import Encoder
from rtclassify.sinks.zmq import Subscription, ZmqSink
from rtclassify.testing import ManualClock

PATIENCE_S = 20.0
COMMAND = str(Path(sys.executable).with_name("rtclassify"))
LOOPBACK = "tcp://127.0.0.1:*"


class Station:
    """A folder with a daemon's pair, two subscribers' pairs, and one of them let in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients = folder / "clients"
        self.clients.mkdir()
        for name in ("server", "anna", "boris"):
            new_pair(folder, name)
        (self.clients / "anna.key").write_bytes((folder / "anna.key").read_bytes())
        self.security = SecuritySettings(folder / "server.key_secret", self.clients)

    def keys(self, name: str, server: str = "server") -> ClientKeys:
        return client_keys(self.folder / f"{name}.key_secret", self.folder / f"{server}.key")

    @contextlib.contextmanager
    def published(self) -> Iterator[ZmqSink]:
        keys = server_keys(self.security, [LOOPBACK])
        with ZmqSink(LOOPBACK, Encoder(INFO, ManualClock()), keys) as sink:
            yield sink


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


def refusal(address: str, keys: ClientKeys | None) -> str:
    """Subscribe in vain and return what is said."""
    with (
        pytest.raises(UsageError) as refused,
        Subscription(address, [""], keys) as subscription,
    ):
        assert subscription.receive(PATIENCE_S) is None, "it was let in"
    return str(refused.value)


def test_an_allowed_key_is_let_in_and_misses_nothing(station: Station) -> None:
    with (
        station.published() as sink,
        Subscription(sink.address, ["label/"], station.keys("anna")) as anna,
    ):
        assert sink._open_socket.poll(20_000), "the subscription did not arrive"
        sink.send([label(number=number) for number in range(300)])
        messages = [anna.receive(PATIENCE_S) for _ in range(300)]

    assert [message and message.body["seq"] for message in messages] == list(range(300))


def test_an_unlisted_key_is_refused_and_the_log_says_so_once(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    with station.published() as sink:
        said = [refusal(sink.address, station.keys("boris")) for _ in range(3)]

        assert (
            said
            == [f"{sink.address} does not allow this key; have its .key file allowed there."] * 3
        )
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert station.keys("boris").public.decode() in record.getMessage()


def test_refusals_are_said_again_with_their_number_when_a_minute_is_over(
    station: Station, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve, "REFUSALS_EVERY_S", 0.0)
    with station.published() as sink:
        for _ in range(3):
            refusal(sink.address, station.keys("boris"))

    counts = [record.getMessage().partition("allowed, ")[2][:8] for record in caplog.records]
    assert counts == ["1 in all", "2 in all", "3 in all"]


def test_who_brings_no_key_or_trusts_another_daemon_is_told_within_seconds(
    station: Station,
) -> None:
    begun = time.monotonic()
    with station.published() as sink:
        without = refusal(sink.address, None)
        mistaken = refusal(sink.address, station.keys("anna", server="boris"))
    with ZmqSink(LOOPBACK, Encoder(INFO, ManualClock())) as sink:
        needless = refusal(sink.address, station.keys("anna"))

    assert "lets in holders of keys alone; give your key and its own (--key, --server)." in without
    assert "has another key than was expected, or takes none;" in mistaken
    # Who hangs up before it has said why may have either reason.
    assert (
        "takes no keys; leave them away (--key, --server)." in needless or "takes none" in needless
    )
    assert time.monotonic() - begun < PATIENCE_S


def test_a_crowd_of_strangers_costs_a_subscriber_nothing(station: Station) -> None:
    """They come again as soon as they were sent away, half of them with a key."""
    with (
        station.published() as sink,
        Subscription(sink.address, ["label/"], station.keys("anna")) as anna,
        zmq.Context() as context,
        contextlib.ExitStack() as crowd,
    ):
        assert sink._open_socket.poll(20_000), "the subscription did not arrive"
        for number in range(60):
            stranger = crowd.enter_context(context.socket(zmq.SUB))
            stranger.linger, stranger.reconnect_ivl = 0, 10
            if number % 2:
                identify(stranger, station.keys("boris"))
            stranger.connect(sink.address)
        seqs = []
        for number in range(200):
            sink.send([label(number=number)])
            message = anna.receive(PATIENCE_S)
            seqs.append(message and message.body["seq"])
            time.sleep(0.005)

    assert seqs == list(range(200))


def test_a_subscriber_that_waits_for_a_daemon_is_not_refused(station: Station) -> None:
    with Subscription("tcp://127.0.0.1:9", [""], station.keys("anna")) as subscription:
        assert subscription.receive(1.0) is None


def test_ipc_is_guarded_by_its_permissions_and_wants_no_key(
    station: Station, tmp_path: Path
) -> None:
    address = f"ipc://{tmp_path}/labels"
    keys = server_keys(station.security, [address])
    with (
        ZmqSink(address, Encoder(INFO, ManualClock()), keys) as sink,
        Subscription(address, [""]) as subscription,
    ):
        assert sink._open_socket.poll(20_000), "the subscription did not arrive"
        sink.send([label()])
        assert subscription.receive(PATIENCE_S) is not None


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:5565", "tcp://*:5565", "tcp://192.168.1.5:5565", "tcp://eth0:5565"]
)
def test_an_open_address_wants_keys_or_a_word_that_it_is_meant(address: str) -> None:
    with pytest.raises(ConfigError, match=r"or security.open = true\.$") as refused:
        server_keys(SecuritySettings(), ["tcp://127.0.0.1:5565", address])

    assert str(refused.value).startswith(address)
    assert server_keys(SecuritySettings(open=True), [address]) is None


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:5565", "tcp://localhost:1", "tcp://[::1]:5565", "ipc:///run/x", "jsonl:-"],
)
def test_an_address_of_this_machine_alone_wants_nothing(address: str) -> None:
    assert server_keys(SecuritySettings(), [address]) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o606])
def test_a_secret_that_others_can_read_or_change_is_refused(station: Station, mode: int) -> None:
    secret = station.folder / "anna.key_secret"
    secret.chmod(mode)

    with pytest.raises(ConfigError, match=rf"; chmod 600 {secret}\.$"):
        read_secret(secret)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_the_group_may_read_what_another_owner_hands_over(station: Station) -> None:
    """So does systemd: its credentials are root's, and show the rights of one user as a group's."""
    secret = station.folder / "anna.key_secret"
    os.chown(secret, 1, 1)
    secret.chmod(0o440)
    assert read_secret(secret)[0] == station.keys("anna").public


@pytest.mark.parametrize(
    ("security", "sentence"),
    [
        (
            SecuritySettings(Path("nowhere"), Path("clients")),
            "nowhere cannot be read: no such file",
        ),
        (SecuritySettings(Path("server.key_secret")), "wants security.clients, a directory of"),
        (
            SecuritySettings(Path("server.key_secret"), Path("clients"), open=True),
            "no security.open",
        ),
        (
            SecuritySettings(Path("server.key"), Path("clients")),
            "name the file that ends in .key_s",
        ),
        (
            SecuritySettings(Path("server.key_secret"), Path("gone")),
            "gone is no directory; make it",
        ),
        (SecuritySettings(Path("thesis.txt"), Path("clients")), "thesis.txt is no key file;"),
        (
            SecuritySettings(Path("server.key_secret"), Path("broken")),
            "broken/x.key is no key file",
        ),
    ],
)
def test_settings_that_protect_nobody_are_one_sentence(
    station: Station, monkeypatch: pytest.MonkeyPatch, security: SecuritySettings, sentence: str
) -> None:
    monkeypatch.chdir(station.folder)
    Path("thesis.txt").write_text("ten years of work")
    Path("broken").mkdir()
    Path("broken/x.key").write_text('public-key = "short"')
    with pytest.raises(ConfigError) as refused:
        server_keys(security, [LOOPBACK])

    assert sentence in str(refused.value)
    assert str(refused.value).count("\n") == 0


def keys(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "keys", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_commands_make_allow_and_list_keys_that_fit_each_other(tmp_path: Path) -> None:
    (tmp_path / "clients").mkdir()
    (tmp_path / "rtclassify.toml").write_text(
        '[security]\nserver_key = "server.key_secret"\nclients = "clients"\n'
    )
    made = [keys("new", name, folder=tmp_path) for name in ("server", "anna")]
    let_in = keys("allow", "anna.key", folder=tmp_path)
    listed = keys("list", folder=tmp_path)

    assert [done.returncode for done in (*made, let_in, listed)] == [0, 0, 0, 0]
    assert "anna.key_secret  secret" in made[1].stdout
    assert (tmp_path / "anna.key_secret").stat().st_mode & 0o777 == 0o600
    lines = [line.split("  ") for line in listed.stdout.splitlines()]
    assert [name for _, name in lines] == ["this daemon", "anna"]
    loaded = server_keys(SecuritySettings(tmp_path / "server.key_secret", tmp_path / "clients"), [])
    assert loaded is not None
    assert [key.encode() for key, _ in lines] == [loaded.public, *loaded.clients]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["new", "anna"], 2, "anna.key is there already;"),
        (["new", "../anna"], 2, "is no name for a file of keys"),
        (["new", "carla", "--folder", "nowhere"], 2, "nowhere takes no keys: No such file"),
        (["allow", "anna.key_secret"], 3, "security.clients is not set;"),
        (["list"], 3, "security.clients is not set;"),
    ],
)
def test_what_cannot_be_done_with_keys_is_one_sentence(
    station: Station, arguments: list[str], code: int, sentence: str
) -> None:
    before = (station.folder / "anna.key").read_bytes()
    done = keys(*arguments, folder=station.folder)

    assert done.returncode == code
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert (station.folder / "anna.key").read_bytes() == before


def test_a_secret_key_is_never_copied_to_where_public_ones_lie(station: Station) -> None:
    (station.folder / "rtclassify.toml").write_text('[security]\nclients = "clients"\n')
    done = keys("allow", "boris.key_secret", folder=station.folder)

    assert done.returncode == 2
    assert "give the .key file" in done.stderr
    assert sorted(path.name for path in station.clients.iterdir()) == ["anna.key"]


def watched(station: Station, address: str, name: str) -> subprocess.CompletedProcess[str]:
    """Follow the stream as a person does, until the first message or the refusal."""
    command = [COMMAND, "watch", address, "--key", f"{name}.key_secret", "--server", "server.key"]
    with subprocess.Popen(
        command, cwd=station.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.kill()
        _, complaints = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, first, complaints)


@pytest.mark.timeout(180)
def test_a_hangup_reads_again_who_is_let_in(station: Station, light_model: tuple[str, ...]) -> None:
    """A real daemon, and subscribers as people start them."""
    address = f"tcp://127.0.0.1:{free_port()}"
    (station.folder / "rtclassify.toml").write_text(
        '[security]\nserver_key = "server.key_secret"\n'
        'clients = "clients"\n[[channel]]\nname = "main"\nsource = "demo"\n'
    )
    with started(station.folder, "--publish", address, *light_model) as daemon:
        daemon.await_(lambda: daemon.messages("label/"), "a label")
        let_in, refused = (watched(station, address, name) for name in ("anna", "boris"))
        (station.clients / "anna.key").rename(station.clients / "anna.gone")
        (station.clients / "boris.key").write_bytes((station.folder / "boris.key").read_bytes())
        epochs = len({message["epoch"] for message in daemon.messages()})
        daemon.signal(signal.SIGHUP)
        daemon.await_(
            lambda: len({message["epoch"] for message in daemon.messages()}) > epochs, "an epoch"
        )
        put_out, admitted = (watched(station, address, name) for name in ("anna", "boris"))
        (station.folder / "server.key_secret").chmod(0o644)
        daemon.signal(signal.SIGHUP)
        daemon.await_(lambda: "not reloaded, the old settings stay" in daemon.log, "a refusal")

    assert '"topic":' in let_in.stdout
    assert '"topic":' in admitted.stdout
    for done in (refused, put_out):
        assert done.stdout == ""
        assert "does not allow this key" in done.stderr
    assert "chmod 600 server.key_secret" in daemon.log
    assert daemon.log.count("refused a subscriber") == 2
