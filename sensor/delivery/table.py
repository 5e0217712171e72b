"""A table for people: a block for each container whose state changed, and a summary at the end."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from sensor.delivery.descriptor import DescriptorWriter
from sensor.model.package import PackageUse
from sensor.model.report import ContainerReport, Coverage, LoadedPackage

_HEADINGS = ("ECOSYSTEM", "PACKAGE", "VERSION", "EVIDENCE", "SEEN", "PATH")
_WIDEST = (9, 40, 20, 8, 6)  # of every column but the last, which takes what is left
_NARROWEST_PATH = 20
_REMEMBERED = 2048
_WIDTH_ELSEWHERE = 120

_BOLD, _YELLOW, _PLAIN = "\033[1m", "\033[33m", "\033[0m"


class TableSink:
    """Writes blocks to ``fd``, which stays its owner's to close.

    A container's first block lists all its packages, a later one those that are new or better
    proven. What is remembered for this is bounded to the 2048 containers reported last; one that
    fell out is listed whole again.
    """

    def __init__(self, fd: int, environment: Mapping[str, str] = os.environ) -> None:
        self._fd = fd
        self._environment = environment
        self._writer = DescriptorWriter(fd)
        self._shown: OrderedDict[str, frozenset[PackageUse]] = OrderedDict()
        self._containers = 0
        self._packages = 0

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        self._writer.write_all(self._blocks(reports))

    def close(self) -> None:
        self._writer.write(
            f"{_count(self._packages, 'package')} in {_count(self._containers, 'container')}\n"
        )

    def _blocks(self, reports: Sequence[ContainerReport]) -> Iterator[str]:
        for report in reports:
            shown = self._shown.get(report.container.id)
            new = [loaded for loaded in report.packages if loaded.use not in (shown or ())]
            yield "\n".join([self._title(report), *self._rows(new, report.observed_at), "", ""])
            self._remember(report)  # only once it is written: the generator stops at an error

    def _remember(self, report: ContainerReport) -> None:
        before = self._shown.pop(report.container.id, None)
        self._containers += before is None
        self._packages += len(report.packages) - len(before or ())
        self._shown[report.container.id] = frozenset(loaded.use for loaded in report.packages)
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)

    def _title(self, report: ContainerReport) -> str:
        facts = [self._paint(_BOLD, printable(_name(report)))]
        if report.metadata.image.name:
            facts.append(printable(report.metadata.image.name))
        facts.append(printable(report.container.runtime))
        facts.append(_count(len(report.packages), "package"))
        if report.coverage is Coverage.PARTIAL:
            facts.append(self._paint(_YELLOW, f"partial: {printable(', '.join(report.coverage_reasons))}"))
        else:
            facts.append("complete")
        if not report.deployed:
            facts.append("ended")
        return " · ".join(facts)

    def _rows(self, packages: Sequence[LoadedPackage], now: float) -> list[str]:
        if not packages:
            return []
        rows = [_HEADINGS, *(_row(loaded, now) for loaded in packages)]
        widths = [min(widest, max(len(row[i]) for row in rows)) for i, widest in enumerate(_WIDEST)]
        path_width = max(_NARROWEST_PATH, self._width() - sum(widths) - 2 * (len(widths) + 1))
        return [_line(row, widths, path_width) for row in rows]

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._fd).columns or _WIDTH_ELSEWHERE
        except OSError:  # no terminal
            columns = self._environment.get("COLUMNS", "")
            return int(columns) if columns.isdecimal() else _WIDTH_ELSEWHERE

    def _paint(self, colour: str, text: str) -> str:
        # https://no-color.org: any value but the empty one
        plain = self._environment.get("NO_COLOR") or self._environment.get("TERM") == "dumb"
        return text if plain or not os.isatty(self._fd) else f"{colour}{text}{_PLAIN}"


def printable(text: str) -> str:
    """``text`` with everything that is not visible on a terminal escaped, as ``\\x1b`` or ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits: ``5s``, ``3min``, ``2h``, ``9d``."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def _name(report: ContainerReport) -> str:
    metadata = report.metadata
    container = metadata.name or report.container.id[:12]
    return "/".join(part for part in (metadata.namespace, metadata.pod_name, container) if part)


def _row(loaded: LoadedPackage, now: float) -> tuple[str, ...]:
    package = loaded.use.package
    return (
        package.ecosystem.value,
        printable(package.name),
        printable(package.version or "?"),
        loaded.use.evidence.value,
        age(now - loaded.first_seen),
        printable(loaded.use.path),
    )


def _line(row: Sequence[str], widths: Sequence[int], path_width: int) -> str:
    cells = [_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=False)]
    path = row[-1] if len(row[-1]) <= path_width else "…" + row[-1][1 - path_width :]
    return "  " + "  ".join([*cells, path])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
