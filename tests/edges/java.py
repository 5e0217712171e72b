"""Java: what jars say of themselves, and how little that is at times."""

from __future__ import annotations

from sensor.node.resolve.java.resolver import JavaResolver
from tests.edges.case import Case
from tests.edges.java_names import NAMES
from tests.edges.java_places import DAMAGED, NESTED, ROOTS
from tests.edges.java_poms import POMS

CASES: tuple[Case, ...] = POMS + NAMES + NESTED + DAMAGED + ROOTS


def resolver() -> JavaResolver:
    return JavaResolver()
