"""Options are texts; here they become values, or an error that says what was expected."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

DAY = 86_400.0


class SettingsError(ValueError):
    """The text names the option, what was found and what was expected."""


class Address(NamedTuple):
    host: str
    port: int


def address(option: str, text: str) -> Address:
    """``127.0.0.1:9102``, ``[::1]:9102``, ``:9102`` (every IPv4 address), or a name for the host."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isdecimal() or int(port) > 65_535 or (":" in host and not bracketed):
        raise SettingsError(
            f"{option}: found {text!r}, expected HOST:PORT such as 127.0.0.1:9102 or [::1]:9102"
        )
    return Address(host.strip("[]") or "0.0.0.0", int(port))


def choice(option: str, found: str, choices: tuple[str, ...]) -> str:
    if found not in choices:
        raise SettingsError(f"{option}: found {found!r}, expected one of {', '.join(choices)}")
    return found


def seconds(option: str, found: str, *, least: float, most: float, unit: str = "seconds") -> float:
    try:
        value = float(found)
    except ValueError:
        value = math.nan
    if not least <= value <= most:  # false for a NaN as well
        raise SettingsError(f"{option}: found {found!r}, expected {unit} from {least:g} to {most:,.0f}")
    return value


def number(option: str, found: str, *, least: int, most: int) -> int:
    value = int(found) if found.isdecimal() and len(found) < 12 else least - 1
    if not least <= value <= most:
        raise SettingsError(f"{option}: found {found!r}, expected a number from {least:,} to {most:,}")
    return value


def directory(option: str, found: str) -> str:
    """One that we may not look at passes: whoever opens it tells what is lacking."""
    try:
        is_directory = found.startswith("/") and Path(found).is_dir()
    except PermissionError:
        return found
    except OSError:  # a name that no file system takes
        is_directory = False
    if not is_directory:
        raise SettingsError(f"{option}: found {found!r}, expected the absolute path of a directory")
    return found


def file(option: str, found: str) -> Path:
    try:
        is_file = Path(found).is_file()
    except OSError as error:
        raise SettingsError(f"{option}: {found!r}: {error.strerror}; expected a file to read") from error
    if not is_file:
        raise SettingsError(f"{option}: found no file {found!r}, expected one that can be read")
    return Path(found)
