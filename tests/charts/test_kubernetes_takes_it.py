"""Every combination of values is taken by every Kubernetes from 1.25 on, and by 1.19."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.charts import rendered
from tests.charts.combinations import COMBINATIONS, Combination
from tests.charts.helm_program import template
from tests.charts.kubernetes_schemas import PINNED, schema
from tests.charts.manifests import Manifest, of_kind, parse, refusals, workload

# From this version on AppArmor is a field. Nothing else of what is rendered goes by the cluster's version:
# test_versions_of_an_era_render_alike. So two renderings stand for all.
_FIELD = (1, 30)
_LEAST_COMBINATIONS = 40


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.removeprefix("v").split(".")[:2]))


_ERAS = {
    "v1.25.0": [each for each in PINNED if _number(each) < _FIELD],
    "v1.34.0": [each for each in PINNED if _number(each) >= _FIELD],
}


@pytest.mark.parametrize("kube_version", _ERAS)
@pytest.mark.parametrize("one", COMBINATIONS, ids=lambda one: one.name)
def test_every_version_takes_every_combination(one: Combination, kube_version: str) -> None:
    found = rendered.manifests(one, kube_version)
    assert found
    for version in _ERAS[kube_version]:
        assert [refused for each in found for refused in refusals(each, schema(version))] == [], version


def test_there_are_enough_combinations_and_no_gap_between_versions() -> None:
    assert len({each.name for each in COMBINATIONS}) == len(COMBINATIONS) >= _LEAST_COMBINATIONS
    minors = [_number(each)[1] for each in PINNED]
    assert minors == [19, *range(25, max(minors) + 1)]
    assert max(minors) >= 37


@pytest.mark.parametrize("name", ["defaults", "deployment with everything around it", "SCC"])
@pytest.mark.parametrize(("era", "members"), _ERAS.items())
def test_versions_of_an_era_render_alike(name: str, era: str, members: list[str]) -> None:
    assert {rendered.text(name, version) for version in members} == {rendered.text(name, era)}


def _unknown_field(found: Manifest) -> None:
    found["spec"]["template"]["spec"]["hostPIDs"] = True


def _unknown_field_of_a_container(found: Manifest) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilites"] = {}


def _wrong_type(found: Manifest) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["args"] = "node"


def _no_selector(found: Manifest) -> None:
    del found["spec"]["selector"]


def _old_version(found: Manifest) -> None:
    found["apiVersion"] = "extensions/v1beta1"


def _number_as_a_variable(found: Manifest) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = 7


@pytest.mark.parametrize(
    "break_it",
    [
        _unknown_field,
        _unknown_field_of_a_container,
        _wrong_type,
        _no_selector,
        _old_version,
        _number_as_a_variable,
    ],
)
@pytest.mark.parametrize("version", PINNED)
def test_what_a_cluster_refuses_is_found(break_it: Callable[[Manifest], None], version: str) -> None:
    whole = workload(rendered.manifests("defaults", "v1.25.0" if _number(version) < _FIELD else "v1.34.0"))
    broken = copy.deepcopy(whole)
    break_it(broken)
    assert list(refusals(whole, schema(version))) == []
    assert list(refusals(broken, schema(version))) != []


def test_a_field_is_refused_by_versions_that_do_not_know_it() -> None:
    found = workload(rendered.manifests("defaults", "v1.34.0"))
    assert any("appArmorProfile" in each for each in refusals(found, schema("v1.29.14")))


def test_a_key_that_comes_twice_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="twice"):
        parse("a: 1\na: 2\n")


@pytest.mark.parametrize(
    ("name", "kind", "key", "value"),
    [
        ("SCC", "SecurityContextConstraints", "allowHostPIDs", True),
        ("seed's AWS", "SecretProviderClass", "specs", {}),
        ("pod monitor", "PodMonitor", "spec", {"selector": {}}),
    ],
)
def test_what_a_custom_kind_does_not_know_is_found(name: str, kind: str, key: str, value: Any) -> None:
    (found,) = of_kind(rendered.manifests(name), kind)
    assert list(refusals(found, schema("v1.34.4"))) == []
    assert list(refusals({**found, key: value}, schema("v1.34.4"))) != []


def test_kinds_and_versions_do_not_go_by_the_cluster() -> None:
    """A switch by version is wrong with `helm template`, which knows no cluster."""
    sources = [path.read_text() for path in (rendered.CHART / "templates").rglob("*.yaml")]
    assert not [
        line for each in sources for line in each.splitlines() if "apiVersion:" in line and "{{" in line
    ]
    assert "apps/v1" in template(rendered.CHART, {}, "--kube-version=v1.19.0")
