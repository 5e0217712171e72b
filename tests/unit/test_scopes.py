"""Which group a container is reported to, and what waits until that is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensor.config.texts import SettingsError
from sensor.config.upstream import Scope
from sensor.delivery.scopes import HOLD, Router, destinations
from sensor.model.container import ContainerIdentity
from sensor.model.report import ContainerReport
from tests.clock import at_little_cost
from tests.unit.reports import METADATA, report

SCOPES = (Scope("shop", ("shop", "shop-*")), Scope("teams", ("team-?", "shop-2"), "secret"))


def of(namespace: str | None) -> ContainerReport:
    return report(metadata=replace(METADATA, namespace=namespace))


@pytest.mark.parametrize(
    ("namespace", "group"),
    [
        ("shop", "shop"),
        ("shop-2", "shop"),  # the first that matches
        ("shop2", "main"),
        ("team-a", "teams"),
        ("team-ab", "main"),
        ("a-team-a", "main"),
        ("SHOP", "main"),
        ("shop\n", "main"),
        ("default", "main"),
        (None, "main"),
    ],
)
def test_the_first_scope_that_matches_takes_it(namespace: str | None, group: str) -> None:
    assert Router(SCOPES, "main")(of(namespace)) == group


@pytest.mark.parametrize("pattern", ["[a]", "a.c", "a+", "(", "a|b"])
def test_only_two_characters_are_wild(pattern: str) -> None:
    router = Router((Scope("x", (pattern,)),), "main")
    assert router(of(pattern)) == "x"
    assert {router(of(name)) for name in ("a", "abc", "aa", "b")} == {"main"}


def test_a_pod_without_a_namespace_waits_a_minute() -> None:
    unknown = of(None)
    assert Router(SCOPES).held_until(unknown) == unknown.first_seen + HOLD
    assert Router(SCOPES).held_until(of("shop")) is None
    assert Router(()).held_until(unknown) is None  # there is one group only
    host = replace(unknown, container=ContainerIdentity("host", "host"))
    host = replace(host, metadata=replace(host.metadata, pod_uid=None))
    assert Router(SCOPES).held_until(host) is None  # will never have one


def test_each_group_is_one_destination() -> None:
    assert destinations(SCOPES, "main") == {"main": None, "shop": None, "teams": "secret"}
    assert destinations((Scope("main", ("a",), "t"), Scope("main", ("b",))), "main") == {"main": "t"}
    assert list(destinations(())) == [Router(()).default] == ["default"]


def test_two_tokens_for_a_group_are_refused_without_showing_them() -> None:
    with pytest.raises(SettingsError, match="two tokens for the group 'g', expected one") as caught:
        destinations((Scope("g", ("a",), "secret-1"), Scope("g", ("b",), "secret-2")))
    assert "secret" not in str(caught.value)


def test_stars_cost_little_where_they_do_not_match() -> None:
    router = Router((Scope("x", ("*" * 100 + "b", "*a" * 30 + "b", "a*b*c?e")),), "main")
    names = ("a" * 63, "a-b-b-cde", "abcd", "a" * 62 + "b")
    with at_little_cost():
        assert [router(of(name)) for name in names] == ["main", "x", "main", "x"]
