"""Layouts that no JVM here has, and memory that contradicts itself."""

from __future__ import annotations

import pytest

from sensor.node.backfill import hotspot_classes
from sensor.node.backfill.hotspot import ClassState, Problem
from tests.clock import at_little_cost
from tests.unit.hotspot_image import BASE, LATER, VARIABLES, Image, jdk_8, later, scan

OBJECT = ("java/lang/Object", 4)
BOOT, APP, WEB = 0x1000, 0x2000, 0x3000


def found(image: Image) -> tuple[dict[tuple[str, int], ClassState], str]:
    with at_little_cost():
        reading, problem = scan(bytes(image.content))
    return {(one.name, one.loader): one.state for one in reading.result(problem).classes}, problem


def test_states_are_those_of_the_vms_own_numbers() -> None:
    classes = [(f"c/{state}", number) for number, state in enumerate(("a", "l", "k", "b", "f", "e"))]
    image, (web, boot), _ = later([classes, [OBJECT]])
    assert found(image) == (
        {
            ("java/lang/Object", boot): ClassState.INITIALISED,
            ("c/l", web): ClassState.LOADED,
            ("c/k", web): ClassState.LINKED,
            ("c/b", web): ClassState.INITIALISED,
            ("c/f", web): ClassState.INITIALISED,
            ("c/e", web): ClassState.INITIALISED,
        },
        Problem.NONE,
    )


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a/B$$Lambda$14+0x0000000800c08000", "a/B$$Lambda$14"),
        ("a/B$$Lambda+0x00007f00", "a/B$$Lambda"),
        ("a/B$$Lambda$1/0x0000000840064840", "a/B$$Lambda$1"),
        ("a/B$$Lambda$1/1234567", "a/B$$Lambda$1"),
        ("a/B$1", "a/B$1"),
        ("a/v2/B0x12", "a/v2/B0x12"),
        ("a/B2", "a/B2"),
        ("ä/Ω", "ä/Ω"),
    ],
)
def test_hidden_classes_lose_their_suffix(name: str, plain: str) -> None:
    image, (app, _), _ = later([[(name, 4)], [OBJECT]])
    assert (plain, app) in found(image)[0]


def test_jdk_8_tells_the_defining_loader_from_those_that_asked() -> None:
    classes = [
        ("java/lang/Object", 4, BOOT, (BOOT, APP, WEB)),
        ("a/B", 4, APP, (WEB, APP)),
        ("a/C", 1, WEB, (WEB,)),
        ("a/D", 4, 0xDEAD, (WEB,)),  # were the layout another, the one that asked would be taken
    ]
    assert found(jdk_8(classes)) == (
        {
            ("java/lang/Object", BOOT): ClassState.INITIALISED,
            ("a/B", APP): ClassState.INITIALISED,
            ("a/C", WEB): ClassState.LOADED,
            ("a/D", WEB): ClassState.INITIALISED,
        },
        Problem.NONE,
    )


def test_lists_in_circles_end() -> None:
    image, (app, boot), ((first, second), _) = later([[("a/B", 4), ("a/C", 4)], [OBJECT]])
    image.set(second, "Klass", "_next_link", first)
    assert found(image)[1] == Problem.TOO_LARGE
    image, (app, boot), _ = later([[("a/B", 4)], [OBJECT]])
    image.set(boot, "ClassLoaderData", "_next", app)
    classes, problem = found(image)
    assert (set(classes), problem) == ({("a/B", app), ("java/lang/Object", boot)}, Problem.INCONSISTENT)


def test_a_list_that_ends_elsewhere_than_in_the_boot_loader_is_not_whole() -> None:
    image, (_, boot, _), _ = later([[("a/B", 4)], [OBJECT], [("a/C", 4)]])
    assert found(image)[1] == Problem.INCONSISTENT
    image.set(boot, "ClassLoaderData", "_next", 0)
    assert found(image)[1] == Problem.NONE


def test_a_class_that_names_another_loader_breaks_its_list() -> None:
    image, (app, boot), ((_, second), _) = later([[("a/B", 4), ("a/C", 4)], [OBJECT]])
    image.set(second, "Klass", "_class_loader_data", boot)
    classes, problem = found(image)
    assert (set(classes), problem) == ({("a/B", app), ("java/lang/Object", boot)}, Problem.INCONSISTENT)


def test_arrays_are_passed_over_and_may_be_the_last_thing_in_memory() -> None:
    image, (app, boot), ((first,), _) = later([[("a/B", 4)], [OBJECT]])
    array = image.klass("[La/B;", 0, shape=-1)
    image.set(first, "Klass", "_next_link", array)
    image.set(array, "Klass", "_class_loader_data", app)
    assert set(found(image)[0]) == {("a/B", app), ("java/lang/Object", boot)}
    last = image.take(LATER["Klass", "_class_loader_data"] + 8)  # no room for the state of a class
    image.set(array, "Klass", "_next_link", last)
    image.set(last, "Klass", "_layout_helper", -1, "i")
    image.set(last, "Klass", "_class_loader_data", app)
    classes, problem = found(image)
    assert (set(classes), problem) == ({("a/B", app), ("java/lang/Object", boot)}, Problem.NONE)


def test_too_many_classes_and_loaders_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    image, _, _ = later([[("a/B", 4)], [("a/C", 4)], [OBJECT]])
    monkeypatch.setattr(hotspot_classes, "LOADERS_MAX", 2)
    assert found(image)[1] == Problem.TOO_LARGE
    monkeypatch.setattr(hotspot_classes, "LOADERS_MAX", 3)
    assert found(image)[1] == Problem.NONE
    monkeypatch.setattr(hotspot_classes, "CLASSES_MAX", 2)
    assert found(image)[1] == Problem.TOO_LARGE


@pytest.mark.parametrize("number", range(len(VARIABLES)))
@pytest.mark.parametrize("value", [0, 1, 0xFFFF, BASE, BASE + (1 << 20), (1 << 64) - 1])
def test_tables_that_lead_nowhere_are_refused(number: int, value: int) -> None:
    image, _, _ = later([[("a/B", 4)], [OBJECT]])
    image.put(BASE + 8 * number, "Q", value)
    classes, problem = found(image)
    assert not classes or problem in (Problem.NONE, Problem.INCONSISTENT)
