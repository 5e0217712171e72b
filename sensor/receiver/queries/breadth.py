"""Counting what differs, over everything: a bit for each, an integer for each set of them.

SQLite would keep a row for each cell and package; joined integers cost a step for each set and package.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from sensor.receiver.queries.selection import Selection, of_packages, search_packages


def breadth(connection: sqlite3.Connection, column: str) -> dict[int, int]:
    """How many workloads or images have each package; after :func:`sensor.receiver.queries.cells.fold`."""
    numbers: dict[str, int] = {}
    of_set: dict[int, int] = defaultdict(int)
    for package_set, value in connection.execute(f"SELECT DISTINCT package_set, {column} FROM cell"):
        of_set[package_set] |= 1 << numbers.setdefault(value, len(numbers))
    found: dict[int, int] = defaultdict(int)
    sql = "SELECT package_set, package FROM member WHERE package_set IN (SELECT package_set FROM reach)"
    for package_set, package in connection.execute(sql):
        found[package] |= of_set[package_set]
    return {package: bits.bit_count() for package, bits in found.items()}


def holdings(
    connection: sqlite3.Connection, keys: tuple[str, ...], wanted: Selection
) -> dict[tuple[str, ...], int]:
    """How many packages each group of cells has; 0 where none is known. Those that the list of packages
    shows for the group: where something is searched for, all of what itself is a hit, else the hits."""
    condition, searched = of_packages(wanted), search_packages(wanted)
    numbers: dict[int, int] = {}
    of_set: dict[tuple[int, int], int] = defaultdict(int)
    sql = f"""SELECT m.package_set, m.package, {searched.sql} FROM member m JOIN package p ON p.id = m.package
        WHERE m.package_set IN (SELECT package_set FROM reach) AND {condition.sql}"""
    for package_set, package, is_found in connection.execute(sql, {**condition.values, **searched.values}):
        bit = 1 << numbers.setdefault(package, len(numbers))
        of_set[package_set, 1] |= bit
        if is_found:
            of_set[package_set, 0] |= bit
    found: dict[tuple[str, ...], int] = defaultdict(int)
    sql = f"SELECT DISTINCT package_set, hit, {', '.join(keys)} FROM cell"
    for package_set, hit, *key in connection.execute(sql):
        found[tuple(key)] |= of_set[package_set, hit]
    return defaultdict(int, {key: bits.bit_count() for key, bits in found.items()})
