"""What each list shows, and by what it can be ordered."""

from __future__ import annotations

from dataclasses import dataclass

from sensor.receiver.queries import containers, groups, packages


@dataclass(frozen=True, slots=True)
class Column:
    """``sort`` is its name for the query; a number, and what is ``down``, starts with the most."""

    sort: str
    heading: str
    number: bool = False
    down: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """``order`` is how it is sorted unless asked otherwise, with ``-`` for descending."""

    name: str
    path: str
    heading: str
    one: str
    columns: tuple[Column, ...]
    order: str


_TIMES = (Column("first", "First seen", True), Column("last", "Last seen", True))
_COUNTS = {
    name: Column(name, name.capitalize(), True)
    for name in ("namespaces", "workloads", "images", "packages", "containers")
}
_ENDING = (Column("partial", "Partial", True), *_TIMES)


def _counts(*names: str) -> tuple[Column, ...]:
    return tuple(_COUNTS[name] for name in names)


_CLUSTER, _NAMESPACE = Column("cluster", "Cluster"), Column("namespace", "Namespace")
_IMAGE, _WORKLOAD = Column("image", "Image"), Column("workload", "Workload")

VIEWS = {
    view.name: view
    for view in (
        View(
            "packages", "/", "Packages", "package",
            (Column("package", "Package"), Column("ecosystem", "Ecosystem"), Column("snyk", "Snyk name"),
             Column("evidence", "Evidence", down=True), *_counts("workloads", "images", "containers"),
             *_TIMES),
            "-containers",
        ),
        View(
            "workloads", "/workloads", "Workloads", "workload",
            (_WORKLOAD, _NAMESPACE, _CLUSTER, *_counts("packages", "images", "containers"), *_ENDING),
            "workload",
        ),
        View(
            "images", "/images", "Images", "image",
            (_IMAGE, *_counts("packages", "workloads", "containers"), *_ENDING),
            "image",
        ),
        View(
            "containers", "/containers", "Containers", "container",
            (Column("container", "Container"), _WORKLOAD, _NAMESPACE, _CLUSTER, _IMAGE,
             Column("coverage", "Coverage"), *_counts("packages"), *_TIMES),
            "-last",
        ),
        View(
            "namespaces", "/namespaces", "Namespaces", "namespace",
            (_NAMESPACE, _CLUSTER, *_counts("packages", "workloads", "images", "containers"), *_ENDING),
            "namespace",
        ),
        View(
            "clusters", "/clusters", "Clusters", "cluster",
            (_CLUSTER, *_counts("packages", "namespaces", "workloads", "images", "containers"), *_ENDING),
            "cluster",
        ),
    )
}  # fmt: skip
_SORTABLE = {"packages": packages.COLUMNS, "containers": containers.COLUMNS}


def order(view: View, asked: str) -> tuple[str, bool]:
    """Column and whether descending, of ``containers`` or ``-containers``, or else the view's own."""
    column = asked.removeprefix("-")
    if column not in _SORTABLE.get(view.name, groups.COLUMNS) or column not in {c.sort for c in view.columns}:
        asked = view.order
    return asked.removeprefix("-"), asked.startswith("-")
