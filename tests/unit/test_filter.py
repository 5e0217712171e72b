"""Which containers the filters let pass, and when that is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensor.config.filters import EVERYTHING, Filters, filters
from sensor.model.container import ContainerMetadata, Workload
from sensor.node.filter import Verdict, verdict
from tests.clock import at_little_cost

WEB = ContainerMetadata(
    name="web",
    namespace="shop",
    pod_name="web-5d9c",
    workload=Workload("Deployment", "web"),
    pod_labels={"app": "web", "tier": "front"},
)
UNKNOWN = ContainerMetadata()
IN, OUT = Verdict.IN, Verdict.OUT


def of(**options: str) -> Filters:
    """As they are given on the command line."""
    return filters({f"filter_{name}": text for name, text in options.items()}, {})


@pytest.mark.parametrize("metadata", [WEB, UNKNOWN])
def test_without_filters_everything_passes_at_once(metadata: ContainerMetadata) -> None:
    assert verdict(EVERYTHING, metadata, settled=False) is IN
    assert verdict(EVERYTHING, metadata, settled=True) is IN


def test_a_sandbox_never_passes() -> None:
    for which in (EVERYTHING, of(namespaces="shop")):
        for settled in (False, True):
            assert verdict(which, replace(WEB, is_sandbox=True), settled) is OUT


@pytest.mark.parametrize(
    ("patterns", "namespace", "expected"),
    [
        ("shop", "shop", IN),
        ("shop", "shop-2", OUT),
        ("shop", "a-shop", OUT),
        ("shop", "SHOP", OUT),  # names are case-sensitive
        ("shop", "", OUT),
        ("shop", "shop\n", OUT),
        ("shop-*", "shop-", IN),
        ("shop-*", "shop-east-2", IN),
        ("shop-*", "shop", OUT),
        ("*", "anything", IN),
        ("*-dev", "shop-dev", IN),
        ("*-dev", "shop-dev-2", OUT),
        ("a*b*c", "a-b-b-c", IN),
        ("a*b*c", "a-c-b", OUT),
        ("team-?", "team-a", IN),
        ("team-?", "team-ab", OUT),
        ("team-?", "team-", OUT),
        ("team-a,team-b", "team-b", IN),
        ("team-a,team-b", "team-c", OUT),
    ],
)
def test_namespaces(patterns: str, namespace: str, expected: Verdict) -> None:
    assert verdict(of(namespaces=patterns), replace(WEB, namespace=namespace), settled=False) is expected


@pytest.mark.parametrize("pattern", ["[s]hop", "sho.", "shop|x", "(shop)", "shop+"])
def test_only_two_characters_are_wild(pattern: str) -> None:
    which = Filters(namespaces=(pattern,))
    assert verdict(which, WEB, settled=False) is OUT
    assert verdict(which, replace(WEB, namespace=pattern), settled=False) is IN


@pytest.mark.parametrize(
    ("kinds", "kind", "expected"),
    [
        ("deployment", "Deployment", IN),
        ("Deployment", "Deployment", IN),
        ("daemonset,statefulset", "StatefulSet", IN),
        ("daemonset,statefulset", "Deployment", OUT),
        ("pod", "Pod", IN),
        ("deployment", "Pod", OUT),
        ("job", "CronJob", OUT),
        ("rollout", "Rollout", IN),
        ("rollout", "Brandnew", OUT),
    ],
)
def test_workload_types(kinds: str, kind: str, expected: Verdict) -> None:
    metadata = replace(WEB, workload=Workload(kind, "x"))
    assert verdict(of(workload_types=kinds), metadata, settled=False) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("app=web", IN),
        ("app=db", OUT),
        ("app=db,app=web", IN),  # any value of one key
        ("app=web,tier=front", IN),  # every key
        ("app=web,tier=back", OUT),
        ("missing=", OUT),  # a label that is not there is not empty
        ("app=", OUT),
    ],
)
def test_pod_labels(wanted: str, expected: Verdict) -> None:
    assert verdict(of(pod_labels=wanted), WEB, settled=False) is expected


def test_a_label_may_be_empty() -> None:
    assert verdict(of(pod_labels="app="), replace(WEB, pod_labels={"app": ""}), settled=False) is IN


ALL = of(namespaces="shop", workload_types="deployment", pod_labels="app=web")


def test_all_lists_must_hold() -> None:
    assert verdict(ALL, WEB, settled=False) is IN
    for other in (
        replace(WEB, namespace="other"),
        replace(WEB, workload=Workload("Job", "web")),
        replace(WEB, pod_labels={}),
    ):
        assert verdict(ALL, other, settled=False) is OUT


def without_one(metadata: ContainerMetadata) -> tuple[ContainerMetadata, ...]:
    """``metadata`` with one of three facts not known."""
    return (
        replace(metadata, namespace=None),
        replace(metadata, workload=None),
        replace(metadata, pod_labels=None),
    )


@pytest.mark.parametrize("metadata", without_one(WEB))
def test_what_is_not_known_is_waited_for_and_then_out(metadata: ContainerMetadata) -> None:
    assert verdict(ALL, metadata, settled=False) is Verdict.UNKNOWN
    assert verdict(ALL, metadata, settled=True) is OUT


WRONG = ContainerMetadata(namespace="other", workload=Workload("Job", "x"), pod_labels={})


@pytest.mark.parametrize("metadata", without_one(WRONG))
def test_one_that_does_not_hold_settles_it(metadata: ContainerMetadata) -> None:
    assert verdict(ALL, metadata, settled=False) is OUT


def test_what_no_list_asks_for_need_not_be_known() -> None:
    assert verdict(of(namespaces="shop"), ContainerMetadata(namespace="shop"), settled=False) is IN


def test_no_pattern_takes_long() -> None:
    which = of(namespaces=",".join("*".join("a" * 31) + "b" for _ in range(64)))
    with at_little_cost():
        assert verdict(which, replace(WEB, namespace="a" * 4096), settled=True) is OUT
