"""Texts for people: hostile names made visible, ages, and what codes mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from sensor.delivery.table import printable

LONGEST = 512


def visible(value: Any) -> Any:
    """Every text that a template writes goes through here; autoescaping comes after it.

    Control characters and those that turn the direction of writing are shown as ``\\u202e``, and what is
    longer than :data:`LONGEST` is cut.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return printable(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")


def ago(seconds: float | None, now: float) -> str:
    """``just now``, ``5 min ago``, ``3 d ago``; a moment in the future is just now."""
    if seconds is None:
        return "–"
    whole = int(max(0.0, now - seconds))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if whole >= size:
            return f"{whole // size} {unit} ago"
    return "just now" if whole < 10 else f"{whole} s ago"


def utc(seconds: float) -> str:
    """``2026-01-31 12:00:00 UTC``; what no calendar holds is a dash."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "–"


def iso(seconds: float) -> str:
    return utc(seconds).replace(" UTC", "Z").replace(" ", "T")


def count(number: int) -> str:
    return f"{number:,}"


EVIDENCE = {
    "executed": "The program was run, or a class of it is initialised.",
    "mapped": "A native module or assembly of it is mapped into a process.",
    "opened": "A runtime of its ecosystem opened one of its files, or has loaded a class of it.",
    "bundled": "It is inside something that was opened; whether it is used is not known.",
    "": "Loaded; its sender does not say how that was seen.",
}
RISKS = {"deployed": "Deployed", "loaded": "Loaded package", "public": "Public facing"}
_REASONS = {
    "started_before_sensor": "It ran before the sensor, and a look at its processes could not show "
    "everything: Node.js keeps no trace of what it loaded. Restart the container to see it whole.",
    "events_lost": "The kernel's buffer was full for a moment, and looking at the process again did not show "
    "all. A larger --ring-size helps where this happens often.",
    "root_unavailable": "Its file system could not be opened: it had ended before the sensor could.",
    "unasked": "A process opened an archive a moment ago and was not asked yet what it uses of it. "
    "This goes away by itself within seconds.",
    "ended_unasked": "A process opened an archive and ended before it could be asked what it used of it.",
    "class_graph_unreadable": "Not all classes of a JVM could be read; packages of which none was stay "
    "bundled.",
    "class_graph_unsupported": "Its JVM is no HotSpot (OpenJ9, for example), whose classes cannot be read.",
    "modules_unreadable": "The modules of a Python that runs out of an archive could not be read whole.",
    "go_unreadable": "A packed Go program could not be read in its process.",
    "compressed_bundle": "A single-file .NET application is compressed: which of its assemblies are used "
    "cannot be seen.",
    "archive_unreadable": "An archive on the class path could not be read whole.",
    "too_many_archives": "Its processes opened more archives than the sensor asks about.",
    "too_many_processes": "More processes run than the sensor asks.",
    "too_many_packages": "It has loaded more packages than the sensor keeps for one container.",
    "file_system_hangs": "Reading one of its files did not come back within 20 s.",
    "no_process_seen": "The container runtime or the API server says that it runs, and the kernel has shown "
    "no process of it: a sandboxed runtime such as gVisor or Kata, or lost events.",
    "packages_not_watched": "It is reported by a sensor that watches a whole cluster through its API server "
    "and looks into no container. Run the sensor on its node to see what it loads.",
    "failed": "A defect of the sensor; its log says which. Please report it.",
}
_SKIPPED = {
    "vanished": "was gone before it could be read",
    "not_regular": "was no regular file",
    "escapes_root": "led out of the container's file system",
    "permission": "could not be read: permission denied",
    "too_large": "was larger than the sensor reads",
    "too_many_entries": "held more entries than the sensor reads",
    "too_slow": "took too long to read",
    "io_error": "could not be read: an I/O error",
    "malformed": "was malformed",
    "archive_bounds": "was an archive beyond what the sensor unpacks",
    "obfuscated": "does not hold the names of its packages (PyInstaller, garble)",
    "path_truncated": "had a path longer than the kernel's walk",
}


def reason(code: str) -> str:
    """Why coverage is partial, in a sentence."""
    if code.startswith("skipped_"):
        why = _SKIPPED.get(code.removeprefix("skipped_"), "could not be read")
        return f"A file that may prove a package {why}."
    return _REASONS.get(code, "Reported by a newer sensor; this page does not know what it means.")
