"""All checks of all hooks of one guest, one after the other."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from sensor.node.capture import host
from sensor.node.capture.capture import Capture, CaptureSettings
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.hooks import HOOKS, Hook
from tests.kernels.inside import libc, loud_loader
from tests.kernels.inside.checks import CHECKS, CHECKS_V1, RING_BYTES, Check
from tests.kernels.inside.observer import Observer
from tests.kernels.protocol import Order

BUDGET = 100_000
"""Instructions the verifier may process for a program: what the oldest kernels take with room to spare."""

CHOICE, LOAD, INSTRUCTIONS = "choice", "load", "instructions"
_LABELS = {hook.name: hook.label for hook in HOOKS}
_CGROUPS = "/sys/fs/cgroup"


class Tell(Protocol):
    """Writes one line to the machine."""

    def __call__(self, kind: str, **values: object) -> None: ...


def expected(order: Order) -> list[tuple[str, str]]:
    """Every (hook, check) of which there must be a line."""
    each = (LOAD, INSTRUCTIONS, *_checks_of(order))
    found = [(hook, check) for hook in order.hooks for check in each]
    if order.chosen:
        found.append((order.hooks[0], CHOICE))
    return found + [(hook, check) for hook in order.cgroup_v1 for check in CHECKS_V1]


def _checks_of(order: Order) -> dict[str, Check]:
    return {name: check for name, check in CHECKS.items() if name not in order.without}


def run(order: Order, tell: Tell) -> None:
    """Tells a line for each of :func:`expected`."""
    libc.mount("cgroup2", _CGROUPS, "cgroup2")
    for hook in HOOKS:
        if hook.name in order.hooks:
            _all_checks(hook, order, tell)
    controller = _cgroups_of_version_1()
    tell("figure", name="cgroup v1 controller", hook="", value=controller)
    for name in order.cgroup_v1:
        _checks(name, CHECKS_V1, tell)


def _all_checks(hook: Hook, order: Order, tell: Tell) -> None:
    chosen = order.chosen and hook.name == order.hooks[0]
    checks: dict[str, Check] = {LOAD: partial(_loaded, hook=hook)}
    if chosen:
        checks[CHOICE] = partial(_choice, hook=hook, order=order)
    checks[INSTRUCTIONS] = partial(_instructions, hook=hook, tell=tell)
    _checks("auto" if chosen else hook.name, checks | _checks_of(order), tell, told_as=hook.name)


def _loaded(observer: Observer, _folder: str, hook: Hook) -> str:
    assert observer.capture.hook == hook.label, observer.capture.hook
    return f"{hook.label} attached"


def _choice(observer: Observer, _folder: str, hook: Hook, order: Order) -> str:
    """Left to itself, the sensor takes the first hook of this kernel, and says why not those before it."""
    refusals = observer.capture.refusals
    assert observer.capture.hook == hook.label, f"{observer.capture.hook} was chosen: {refusals}"
    absent = sorted(_LABELS[name] for name in order.absent)
    assert sorted(refusals) == absent, f"refused: {refusals}, expected {absent}"
    return "; ".join([hook.label, *(f"{label} refused: {why}" for label, why in refusals.items())])


def _checks(asked: str, checks: Mapping[str, Check], tell: Tell, told_as: str = "") -> None:
    """``asked`` is what the sensor is asked for, ``told_as`` the hook that this must give."""
    hook = told_as or asked
    try:
        observer = Observer(CaptureSettings(ring_bytes=RING_BYTES, open_hook=asked))
    except CaptureError as error:
        for name in checks:
            tell("check", hook=hook, check=name, ok=False, detail=str(error), seconds=0)
        return
    for name, check in checks.items():
        _try(tell, hook, name, partial(check, observer, tempfile.mkdtemp(dir="/tmp")))
    observer.close()


def _try(tell: Tell, hook: str, check: str, does: Callable[[], str]) -> None:
    started = time.monotonic()
    try:
        ok, detail = True, does()
    except CaptureError as error:
        ok, detail = False, str(error)
    except Exception:  # noqa: BLE001 - a check that fails is a result
        ok, detail = False, traceback.format_exc()[-1500:]
    seconds = round(time.monotonic() - started, 1)
    tell("check", hook=hook, check=check, ok=ok, detail=detail, seconds=seconds)


def _instructions(observer: Observer, _folder: str, hook: Hook, tell: Tell) -> str:
    """Kernels before 5.16 tell them only while they load, so there the programs are loaded once more."""
    functions = {"exec": "on_exec", "open": hook.function}
    told = observer.capture.program_statistics.read()
    found = {name: figures.verified_instructions for name, figures in told.items()}
    if None in found.values():
        with loud_loader.in_place():
            Capture(CaptureSettings(open_hook=hook.name), lambda _record: None).close()
        found = {name: loud_loader.instructions(function) for name, function in functions.items()}
    for name, processed in found.items():
        tell("figure", hook=hook.name, name=f"{INSTRUCTIONS} {name}", value=processed)
        assert processed is not None
        assert processed <= BUDGET, f"{name}: {processed} instructions, expected at most {BUDGET}"
    return ", ".join(f"{name} {processed}" for name, processed in found.items())


def _cgroups_of_version_1() -> str:
    """Mount a controller as of version 1, the one that the sensor then goes by; its name."""
    libc.unmount(_CGROUPS, libc.MNT_DETACH)
    libc.mount("tmpfs", _CGROUPS, "tmpfs")
    os.mkdir(f"{_CGROUPS}/v1")
    for controller in ("memory", "pids"):
        try:
            libc.mount("cgroup", f"{_CGROUPS}/v1", "cgroup", 0, controller)
        except OSError:
            continue
        return host.cgroup_controller() or "none"
    return "none"
