"""Edges of Node.js packages: layouts of package managers, junk in package.json, what is no evidence."""

from __future__ import annotations

from sensor.node.resolve.node.resolver import NodeResolver
from tests.edges.case import Case
from tests.edges.node_files import FILES
from tests.edges.node_layouts import LAYOUTS
from tests.edges.node_manifests import MANIFESTS

CASES: tuple[Case, ...] = (*LAYOUTS, *FILES, *MANIFESTS)


def resolver() -> NodeResolver:
    """A fresh one."""
    return NodeResolver()
