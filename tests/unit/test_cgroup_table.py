"""Every recorded ``/proc/PID/cgroup``, read from a file as the agent reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensor.model.container import ContainerIdentity
from sensor.node.identify.cgroup import identify_cgroup, read_cgroup_path
from tests.unit.cgroup_table import TABLE, Recorded


def layout(content: str) -> str:
    unified = [line.startswith("0::") for line in content.splitlines()]
    return "v2" if all(unified) else "hybrid" if any(unified) else "v1"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_row(row: Recorded, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(row.content, encoding="utf-8")
    path = read_cgroup_path(7, str(tmp_path))
    assert path is not None
    expected = None
    if row.runtime is not None and row.container_id is not None:
        expected = ContainerIdentity(row.container_id, row.runtime, row.pod_uid)
    assert identify_cgroup(path, row.runc_ids.__contains__) == expected


def test_the_table_is_what_it_claims() -> None:
    assert len(TABLE) >= 80
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert len({row.content for row in TABLE}) == len(TABLE)
    layouts = [layout(row.content) for row in TABLE]
    assert min(layouts.count(name) for name in ("v1", "v2", "hybrid")) >= 10
    assert {row.runtime for row in TABLE} == {
        None, "containerd", "cri-o", "docker", "podman", "runc", "unknown"
    }  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_row_has_a_source_and_the_form_of_cgroups_7(row: Recorded) -> None:
    assert len(row.source) > 20
    for line in row.content.splitlines():
        assert re.fullmatch(r"\d+:(?:name=)?[a-z_,]*:(?:/|\.\.)[\w/:.@-]*", line), line
