"""A real systemd, booted in half a second on an overlay of this machine, with the unit in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rigs.icecast import free_port
from rtclassify.keys import new_pair

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0

GUARDED = f"tcp://127.0.0.1:{free_port()}"
STATUS = f"127.0.0.1:{free_port()}"

SETTINGS = f"""
model = "/opt/models/tiny"
publish = "ipc:///run/rtclassify/labels"
sinks = ["{GUARDED}"]
status = "{STATUS}"
[security]
server_key = "/run/credentials/rtclassify.service/server.key_secret"
clients = "/etc/rtclassify/clients"
[[channel]]
name = "main"
source = "demo"
[[channel]]
name = "relay"
source = "http://127.0.0.1:9/nobody-serves-here.mp3"
"""

DROP_IN = """
[Service]
WatchdogSec=5
RestartSec=0.1
# Where the interpreter's own library is bound to; without, it would take the system's.
Environment=LD_LIBRARY_PATH=/opt/python/lib
LoadCredential=server.key_secret:/etc/rtclassify/server.key_secret
"""


@dataclass(frozen=True)
class Machine:
    """A booted container: its files from outside, its processes by nsenter.

    Args:
        files: Its root directory.
        leader: Its first process, as this machine numbers it.
    """

    files: Path
    leader: int

    def run(self, *command: str) -> str:
        """Run a command inside and return what it prints."""
        inside = ["nsenter", "-t", str(self.leader), "-a", *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def known(self, name: str) -> str:
        """Return a property of the unit, such as ``MainPID``."""
        return self.run("systemctl", "show", "rtclassify", "--value", "-p", name).strip()

    def journal(self) -> list[dict[str, Any]]:
        """Return the unit's journal, with its own and systemd's messages."""
        lines = self.run("journalctl", "-u", "rtclassify", "-o", "json", "--no-pager")
        return [json.loads(line) for line in lines.splitlines()]

    def settings(self, text: str) -> None:
        """Write the unit's settings file."""
        (self.files / "etc/rtclassify.toml").write_text(text)

    def said(self, part: str) -> list[dict[str, Any]]:
        """Return the entries of the journal whose message contains `part`."""
        return [entry for entry in self.journal() if part in str(entry["MESSAGE"])]

    def await_(self, claim: Callable[[], Any], what: str) -> Any:
        """Return the first true value of `claim`."""
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            if found := claim():
                return found
            time.sleep(0.1)
        story = "\n".join(str(entry["MESSAGE"]) for entry in self.journal())
        raise AssertionError(f"{what} did not come to pass:\n{story}")


@contextlib.contextmanager
def booted(tmp: Path, bundle: Path) -> Iterator[Machine]:
    """Boot a machine in which the unit, a Python environment and `bundle` are installed."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to boot systemd in a container")
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is missing: apt install systemd-container")
    with _overlay(tmp) as files:
        binds = _install(files, bundle)
        command = [
            "systemd-nspawn", "-q", "-D", str(files), "--register=no", "--keep-unit", "--boot",
            "--console=pipe", *binds, "systemd.unit=basic.target",
        ]  # fmt: skip
        with (tmp / "console").open("w") as console:
            nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        try:
            yield _await_boot(nspawn, files, tmp / "console")
        finally:
            nspawn.terminate()
            nspawn.wait(PATIENCE_S)


@contextlib.contextmanager
def _overlay(tmp: Path) -> Iterator[Path]:
    layers = tmp / "overlay"
    layers.mkdir()
    with contextlib.ExitStack() as mounts:
        _mount(mounts, "-t", "tmpfs", "tmpfs", str(layers))
        upper, work, files = layers / "upper", layers / "work", layers / "files"
        for folder in (upper, work, files):
            folder.mkdir()
        options = f"lowerdir=/,upperdir={upper},workdir={work}"
        _mount(mounts, "-t", "overlay", "overlay", "-o", options, str(files))
        yield files


def _mount(mounts: contextlib.ExitStack, *arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs root that may mount: {done.stderr.strip()}")
    mounts.callback(subprocess.run, ["umount", arguments[-1]], check=True)


def _install(files: Path, bundle: Path) -> list[str]:
    """Lay out what scripts/install-service makes, around this very Python environment.

    The environment may live in a home directory, which the service's user cannot read: what
    it is made of is bound into /opt.
    """
    home = files / "opt/rtclassify"
    shutil.rmtree(home, ignore_errors=True)
    python = Path(sys.executable).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    inside = base if base == Path("/usr") else Path("/opt/python")
    binds = {} if inside == base else {inside: base}
    binds |= {
        Path("/opt/checkout"): ROOT,
        Path("/opt/site"): Path(sys.prefix) / "lib" / version / "site-packages",
        Path("/opt/models/tiny"): bundle,
    }
    site = home / ".venv/lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "checkout.pth").write_text("/opt/checkout\n/opt/site\n")
    (home / ".venv/bin").mkdir()
    (home / ".venv/bin/python").symlink_to(inside / "bin" / python.name)
    (home / ".venv/pyvenv.cfg").write_text(f"home = {inside}/bin\n")
    command = home / ".venv/bin/rtclassify"
    command.write_text(
        "#!/opt/rtclassify/.venv/bin/python\nfrom rtclassify.cli import main\n"
        'if __name__ == "__main__":\n    main()\n'
    )
    command.chmod(0o755)
    Machine(files, 0).settings(SETTINGS)
    _make_keys(files / "etc/rtclassify")
    units = files / "etc/systemd/system"
    shutil.copy(ROOT / "systemd/rtclassify.service", units)
    (units / "rtclassify.service.d").mkdir()
    (units / "rtclassify.service.d/test.conf").write_text(DROP_IN)
    return [f"--bind-ro={outside}:{place}" for place, outside in binds.items()]


def _make_keys(folder: Path) -> None:
    """Make a pair for the daemon and one for a client that is let in."""
    (folder / "clients").mkdir(parents=True)
    new_pair(folder, "server")
    new_pair(folder, "anna")
    shutil.copy(folder / "anna.key", folder / "clients")


def _await_boot(nspawn: subprocess.Popen[bytes], files: Path, console: Path) -> Machine:
    limit = time.monotonic() + PATIENCE_S
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    while time.monotonic() < limit and nspawn.poll() is None:
        if leaders := children.read_text().split():
            state = subprocess.run(
                ["nsenter", "-t", leaders[0], "-a", "systemctl", "is-system-running"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if state.stdout.strip() in ("running", "degraded"):
                return Machine(files, int(leaders[0]))
        time.sleep(0.05)
    raise AssertionError(f"systemd did not boot:\n{console.read_text()}")
