"""Files of keys: a daemon's pair, a subscriber's pair, and whom the daemon lets in.

They are those of `zmq.auth`: ``NAME.key`` holds a public key, ``NAME.key_secret`` both. See
docs/security.md; `rtclassify.curve` sets sockets up with them.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zmq.auth import create_certificates, load_certificate

from rtclassify.checks import is_loopback
from rtclassify.config import SecuritySettings
from rtclassify.errors import ConfigError, UsageError

KEY_LENGTH = 40
"""Characters of a key as Z85 writes its 32 bytes."""


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a daemon knows: its own pair, and the public keys that it lets in, by file name."""

    public: bytes
    secret: bytes = field(repr=False)
    clients: dict[bytes, str]


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a subscriber knows: its own pair, and the daemon's public key."""

    public: bytes
    secret: bytes = field(repr=False)
    server: bytes


def server_keys(security: SecuritySettings, addresses: Sequence[str]) -> ServerKeys | None:
    """Read the keys that the settings name; None where everybody who comes may subscribe.

    Args:
        security: What the settings say.
        addresses: What will be bound to.

    Raises:
        ConfigError: If a key cannot be used or others can read it, or if an address is open to
            other machines and the settings neither name keys nor allow that.
    """
    if security.server_key is None:
        for address in addresses:
            if not (security.open or _is_private(address)):
                raise ConfigError(
                    f"{address} would let everybody who reaches it subscribe; set "
                    "security.server_key and security.clients, or security.open = true."
                )
        return None
    if security.clients is None or security.open:
        raise ConfigError(
            f"security.server_key = '{security.server_key}' wants security.clients, a directory of "
            "the public keys to let in, and no security.open; mend that."
        )
    public, secret = read_secret(security.server_key)
    return ServerKeys(public, secret, read_allowed(security.clients))


def client_keys(key: Path, server: Path) -> ClientKeys:
    """Read a subscriber's secret key and the daemon's public one from their files.

    Raises:
        ConfigError: If a key cannot be used or others can read the secret one.
    """
    public, secret = read_secret(key)
    return ClientKeys(public, secret, read_public(server))


def _is_private(address: str) -> bool:
    scheme, _, rest = address.partition("://")
    return scheme != "tcp" or is_loopback(rest.rpartition(":")[0] or rest)


def read_secret(path: Path) -> tuple[bytes, bytes]:
    """Return the public and the secret key of a file that nobody else may read.

    A file of another owner, such as root's that systemd hands over, may be readable by its group.

    Raises:
        ConfigError: If it is no such file, or if others can read or change it.
    """
    public, secret = _read(path)
    if secret is None:
        raise ConfigError(f"{path} holds no secret key; name the file that ends in .key_secret.")
    status = path.stat()
    forbidden = 0o077 if status.st_uid == os.geteuid() else 0o037
    if status.st_mode & forbidden:
        mode = stat.filemode(status.st_mode)
        raise ConfigError(f"{path} can be read or changed by others ({mode}); chmod 600 {path}.")
    return public, secret


def read_public(path: Path) -> bytes:
    """Return the public key of a file.

    Raises:
        ConfigError: If there is none in it.
    """
    return _read(path)[0]


def new_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a pair of keys; return the public and the secret file, which its owner alone may read.

    Raises:
        UsageError: If there is such a file already, or the folder cannot be written to.
    """
    public, secret = folder / f"{name}.key", folder / f"{name}.key_secret"
    for path in (public, secret):
        if path.exists():
            raise UsageError(f"{path} is there already; choose another name or move it away.")
    mask = os.umask(0o077)
    try:
        create_certificates(folder, name)
        public.chmod(0o644)
    except OSError as error:
        raise UsageError(
            f"{folder} takes no keys: {error.strerror}; name a directory that can be written to."
        ) from error
    finally:
        os.umask(mask)
    return public, secret


def read_allowed(folder: Path) -> dict[bytes, str]:
    """Return the public keys of all ``*.key`` in `folder`, and whose they are by file name.

    Raises:
        ConfigError: If it is no directory, or if a file is broken.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no directory; make it and put clients' .key files there.")
    return {read_public(path): path.stem for path in sorted(folder.glob("*.key"))}


def add_allowed(folder: Path, file: Path) -> Path:
    """Copy a public key into the directory of those that are let in; return the copy.

    Raises:
        ConfigError: If there is no public key in it, or no such directory.
        UsageError: If it holds the secret key as well, or another key has its name.
    """
    key, secret = _read(file)
    if secret is not None:
        raise UsageError(f"{file} holds a secret key, which is nobody else's; give the .key file.")
    read_allowed(folder)
    place = folder / f"{file.stem}.key"
    if place.exists():
        if read_public(place) != key:
            raise UsageError(f"{place} is another key; rename {file} or remove that one.")
        return place
    try:
        shutil.copyfile(file, place)
        place.chmod(0o644)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be written: {error.strerror}; run this as root."
        ) from error
    return place


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except OSError as error:
        reason = error.strerror or "no such file"
        raise ConfigError(f"{path} cannot be read: {reason}; name a key file that can.") from error
    except ValueError:
        public, secret = b"", None
    if any(len(key) != KEY_LENGTH for key in (public, secret) if key is not None):
        raise ConfigError(f"{path} is no key file; `rtclassify keys new NAME` makes them.")
    return public, secret
