"""Which guests there are, what they must tell, and what counts when they do not."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.kernels import protocol, qemu, report, run
from tests.kernels.document import document
from tests.kernels.inside import check_run
from tests.kernels.matrix import KERNELS, Spec, guests
from tests.kernels.problem import KernelsError
from tests.kernels.results import Told, counts, expected
from tests.kernels.unpack import RootImage


def spec_of(kernel: str, architecture: str, what: str = protocol.CHECKS) -> Spec:
    found = guests(quick=False, what=None, only=[kernel, architecture])
    return next(spec for spec in found if spec.order.what == what)


def tell_all(told: Told, *, but: int = 0) -> None:
    """All lines of a guest, but for the last ``but``."""
    told.hear(protocol.line("booted", release="6.1.0", version="Debian 6.1.176-1 (2026)", python="3.11.2"))
    keys = expected(told.spec)
    for hook, check in keys[: len(keys) - but]:
        told.hear(protocol.line("check", hook=hook, check=check, ok=True, detail="fine"))


def test_every_kernel_has_its_hooks_on_both_architectures() -> None:
    everything = guests(quick=False, what=[protocol.CHECKS], only=[])
    hooks = {(spec.kernel, spec.architecture): spec.order.hooks for spec in everything}
    assert len(hooks) == 2 * len(KERNELS)
    assert {key for key, names in hooks.items() if "fentry" not in names} == {
        ("5.10", "arm64"),
        ("6.1", "arm64"),
    }
    assert all(names[-2:] == ("kprobe", "raw") for names in hooks.values())
    for spec in everything:
        assert set(spec.order.hooks) | set(spec.order.absent) == {"fentry", "kprobe", "raw"}
        assert spec.order.chosen


def test_each_kernel_of_amd64_meets_the_old_bcc_and_the_new() -> None:
    found = {(s.kernel, s.user_space) for s in guests(quick=False, what=[protocol.CHECKS], only=["amd64"])}
    assert found == {(kernel, user) for kernel in KERNELS for user in ("bookworm", "sid")}


def test_the_quick_part_is_the_oldest_and_the_newest() -> None:
    found = guests(quick=True, what=None, only=[])
    assert [(s.kernel, s.architecture, s.user_space) for s in found] == [
        ("5.10", "amd64", "bookworm"),
        ("newest", "amd64", "sid"),
    ]


def test_only_narrows_and_does_not_ask_for_a_choice_it_cannot_see() -> None:
    (first, second) = guests(quick=False, what=[protocol.CHECKS], only=["6.1", "amd64", "raw"])
    assert (first.order.hooks, first.order.chosen) == (("raw",), False)
    assert ("raw", check_run.CHOICE) not in expected(second)
    with pytest.raises(KernelsError, match=r"6\.2: expected some of 5\.10"):
        guests(quick=False, what=[protocol.CHECKS], only=["6.2"])
    with pytest.raises(KernelsError, match="leaves no guest"):
        guests(quick=False, what=[protocol.CHECKS], only=["5.10", "arm64", "fentry"])


def test_an_order_survives_the_way_to_the_guest() -> None:
    order = spec_of("6.1", "arm64").order
    assert order.without == ("open(2)",)
    assert protocol.order(order.text()) == order


def test_only_what_was_told_has_passed() -> None:
    told = Told(spec_of("6.1", "amd64"), "0.26.0")
    tell_all(told, but=3)
    told.hear("noise of the console")
    told.hear(protocol.line("check", hook="raw", check="invented", ok=True, detail=""))
    number = len(expected(told.spec))
    assert counts([told]) == (number - 3, 3)
    assert len(told.missing()) == 3
    assert "console of" in "\n".join(report.failures([told]))


def test_a_failed_check_is_shown_with_its_words() -> None:
    told = Told(spec_of("6.1", "amd64"), "0.26.0")
    tell_all(told)
    told.hear(protocol.line("check", hook="raw", check="dedup", ok=False, detail="told twice"))
    assert counts([told])[1] == 1
    lines = list(report.failures([told]))
    assert "raw dedup" in lines[0] and "told twice" in lines[1]


@pytest.mark.parametrize(("silent", "boots", "failed"), [(0, 1, 0), (1, 2, 0), (2, 2, 2)])
def test_a_guest_that_says_too_little_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, silent: int, boots: int, failed: int
) -> None:
    spec = spec_of("6.1", "amd64")
    booted: list[qemu.Guest] = []

    def boot(guest: qemu.Guest, heard: object, _stop: object) -> qemu.Ended:
        booted.append(guest)
        assert callable(heard)
        quiet = Told(spec, "")
        quiet.hear = heard  # type: ignore[method-assign]
        tell_all(quiet, but=2 if len(booted) <= silent else 0)
        return qemu.Ended("", ("Kernel panic",))

    monkeypatch.setattr(qemu, "run", boot)
    runner = run.Runner(tmp_path, "mirror", 1, report.Progress(0.0))
    tree: Future[Path] = Future()
    tree.set_result(tmp_path)
    root: Future[RootImage] = Future()
    root.set_result(RootImage(tmp_path, tmp_path, "0.26.0"))
    told = runner._guest(spec, tree, root)
    assert len(booted) == boots
    assert counts([told])[1] == failed


def test_the_document_shows_results_instructions_and_ratios() -> None:
    checked, measured = (
        Told(spec_of("6.1", "arm64"), "0.26.0"),
        Told(spec_of("6.1", "arm64", "cost"), "0.26.0"),
    )
    tell_all(checked)
    tell_all(measured)
    for hook, instructions, cost in (("kprobe", 14000, 500), ("raw", 15000, 1000)):
        checked.hear(protocol.line("figure", hook=hook, name="instructions open", value=instructions))
        checked.hear(protocol.line("figure", hook=hook, name="instructions exec", value=6439))
        for case in ("open_other", "open_seen", "other_call"):
            measured.hear(protocol.line("figure", hook=hook, name=f"cost {case}", value=cost))
    applied = Told(spec_of("6.1", "amd64", "applications"), "0.26.0")
    applied.hear(protocol.line("figure", hook="fentry", name="redis", value=0.9975))
    applied.hear(protocol.line("figure", hook="", name="redis bare", value=40000))
    text = document([measured, checked, applied])
    each = sum(hook == "raw" for hook, _ in expected(checked.spec))
    assert f"| 6.1 | arm64 | 0.26.0 | – | {each + 1} of {each + 1} | {each} of {each} |" in text
    assert "| 6.1 | arm64 | 0.26.0 | 6,439 | – | 14,000 | 15,000 |" in text
    assert "+500 (0.50) | +1,000 |" in text
    assert "| 6.1 | amd64 | 40,000 | -0.25 % | – | – |" in text
    assert text == document([applied, checked, measured])
