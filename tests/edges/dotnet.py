""".NET: assemblies and programs, and the packages they prove."""

from __future__ import annotations

from sensor.node.resolve.dotnet.resolver import DotnetResolver
from tests.edges.case import Case
from tests.edges.dotnet_alone import ALONE, FOLDERS
from tests.edges.dotnet_bundles import BUNDLES
from tests.edges.dotnet_declared import DECLARED

CASES: tuple[Case, ...] = (*DECLARED, *FOLDERS, *ALONE, *BUNDLES)


def resolver() -> DotnetResolver:
    """A fresh one."""
    return DotnetResolver()
