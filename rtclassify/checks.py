"""What is asked of settings; each refusal names the key, the value and what was wanted."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rtclassify.errors import ConfigError

HIGHEST_PORT = 65_535


def refuse_unknown(table: Mapping[str, Any], known: Collection[str], prefix: str) -> None:
    """Let only the keys `known` pass.

    Raises:
        ConfigError: If there is another; it names the nearest known one.
    """
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.0)[0]
            raise ConfigError(f"{prefix}{key} is not a known key; did you mean {prefix}{near}?")


def table(key: str, value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a table.

    Raises:
        ConfigError: If it is not.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{key} = {value!r} must be a table; write [{key}].")
    return value


def text(key: str, value: Any) -> str:
    """Return `value` if it is text and not empty.

    Raises:
        ConfigError: If it is not.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(f'{key} = {value!r} must be text in quotes, such as {key} = "…".')
    return value


def texts(key: str, value: Any) -> tuple[str, ...]:
    """Return `value` if it is a list of texts.

    Raises:
        ConfigError: If it is not.
    """
    if not isinstance(value, list):
        raise ConfigError(f'{key} = {value!r} must be a list, such as {key} = ["…"].')
    return tuple(text(key, item) for item in value)


def local_port(key: str, value: Any) -> str:
    """Return `value` if it is ``HOST:PORT`` of this machine alone.

    Raises:
        ConfigError: If it is not.
    """
    host, _, port = text(key, value).rpartition(":")
    if not is_loopback(host) or not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise ConfigError(
            f'{key} = {value!r} must be a port of this machine alone, such as "127.0.0.1:5567"; '
            "a proxy can serve it to others."
        )
    return str(value)


def is_loopback(host: str) -> bool:
    """Whether `host`, an address or a name, is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def number(key: str, value: Any, *, low: float, high: float) -> float:
    """Return `value` if it is a number from `low` to `high`.

    Raises:
        ConfigError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"{key} = {value!r} must be a number from {low:g} to {high:g}.")
    return float(value)


def truth(key: str, value: Any) -> bool:
    """Return `value` if it is true or false.

    Raises:
        ConfigError: If it is not.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"{key} = {value!r} must be true or false.")
    return value


def one_of(key: str, value: Any, choices: Sequence[str]) -> Any:
    """Return `value` if it is one of `choices`.

    Raises:
        ConfigError: If it is not.
    """
    if value not in choices:
        raise ConfigError(f"{key} = {value!r} must be one of {', '.join(choices)}.")
    return value
