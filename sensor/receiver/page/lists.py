"""A list out of the database: its rows, how much there is, and what can be asked of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sensor.receiver.page.columns import VIEWS, Column, View, order
from sensor.receiver.page.wording import RISKS
from sensor.receiver.queries import containers, groups, packages
from sensor.receiver.queries.cells import fold
from sensor.receiver.queries.exposure import Exposures
from sensor.receiver.queries.rows import Order, Part, Totals
from sensor.receiver.queries.selection import (
    UNKNOWN,
    Condition,
    Selection,
    Workload,
    of_containers,
    selection,
)
from sensor.receiver.queries.totals import choices, totals

ROWS = 50
_LAST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class ListPage:
    """Everything that the template of a list needs."""

    view: View
    selection: Selection
    column: str
    descending: bool
    number: int
    part: Part[Any]
    totals: Totals
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    exposures: Exposures
    empty: bool
    """Nothing was ever reported."""

    @property
    def sort(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    @property
    def first(self) -> int:
        return (self.number - 1) * ROWS + 1

    @property
    def last(self) -> int:
        return self.first + len(self.part.rows) - 1

    def address(self, number: int = 1, sort: str | None = None) -> str:
        """Of this list, differently sorted or another page of it."""
        sort = self.sort if sort is None else sort
        more = {"sort": "" if sort == self.view.order else sort, "page": number if number > 1 else ""}
        return _address(self.view.path, self.selection.query(**more))

    def sorted_by(self, column: Column) -> str:
        """Where the heading of the column leads: the other way round where it is sorted by it."""
        down = not self.descending if column.sort == self.column else column.number or column.down
        return self.address(sort=f"-{column.sort}" if down else column.sort)

    def seen_as(self, view: View) -> str:
        return _address(view.path, self.selection.query())

    def exported(self, path: str) -> str:
        return _address(path, self.selection.query())

    def narrowed(self, view: str, **names: str) -> str:
        """Another view, of what has these names."""
        return narrowed(view, self.selection, **names)

    @property
    def chips(self) -> tuple[tuple[str, str, str], ...]:
        """Each filter: its name, what is asked for, and where the list without it is."""
        named = [
            (name, value)
            for name in _TEXTS
            if (value := getattr(self.selection, name))
        ]  # fmt: skip
        found = [(_TITLES.get(name, name.capitalize()), value, name, value) for name, value in named]
        found += [("Risk factor", RISKS[risk], "risk", risk) for risk in self.selection.risk]
        return tuple(
            (title, shown, _address(self.view.path, self.selection.without(name, value).query()))
            for title, shown, name, value in found
        )

    def public(self, row: Any) -> Sequence[str]:
        """Why the workload of a row faces the public; empty where nothing says that it does."""
        workload: Workload = (row.cluster, row.namespace, row.workload_kind, row.workload_name)
        return self.exposures.get(workload, ())


_TEXTS = ("q", "cluster", "namespace", "workload", "image", "ecosystem", "evidence", "coverage", "state")
_TITLES = {"q": "Search"}


def narrowed(view: str, wanted: Selection, **names: str) -> str:
    """The address of a view of what has these names, and else is asked for as in ``wanted``."""
    values: dict[str, Any] = {key: name or UNKNOWN for key, name in names.items()}
    return _address(VIEWS[view].path, replace(wanted, **values).query())


def _address(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def list_page(
    connection: sqlite3.Connection, view: View, asked: Sequence[tuple[str, str]], exposures: Exposures
) -> ListPage:
    """``asked`` are the pairs of the query string: those of the selection, ``sort`` and ``page``."""
    wanted, given = selection(asked), dict(asked)
    column, descending = order(view, given.get("sort", ""))
    number = page_number(given.get("page", ""))
    fold(connection, wanted, exposures)
    chosen = of_containers(wanted, exposures)
    wish = Order(column, descending, (number - 1) * ROWS, ROWS)
    some = connection.execute("SELECT EXISTS (SELECT 1 FROM container)").fetchone()[0]
    return ListPage(
        view=view,
        selection=wanted,
        column=column,
        descending=descending,
        number=number,
        part=_part(connection, view, wanted, chosen, wish),
        totals=totals(connection, wanted, exposures),
        clusters=choices(connection, "cluster"),
        namespaces=choices(connection, "namespace"),
        exposures=exposures,
        empty=not some,
    )


def page_number(text: str) -> int:
    return min(max(1, int(text)), _LAST_PAGE) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


def _part(
    connection: sqlite3.Connection, view: View, wanted: Selection, chosen: Condition, wish: Order
) -> Part[Any]:
    if view.name == "packages":
        return packages.packages(connection, wanted, chosen, wish)
    if view.name == "containers":
        return containers.containers(connection, chosen, wish)
    return groups.groups(connection, view.name, wanted, wish)
