"""``docs/kernels.md``: the same text for the same results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.kernels.inside.applications import APPLICATIONS, LEAST
from tests.kernels.inside.check_run import BUDGET, INSTRUCTIONS
from tests.kernels.inside.checks import CHECKS, CHECKS_V1
from tests.kernels.inside.cost import CASES, COST
from tests.kernels.matrix import ARCHITECTURES, HOOKS, KERNELS, hooks_of
from tests.kernels.protocol import KINDS
from tests.kernels.results import Told, counts

_TITLES = {"fentry": "fentry", "kprobe": "kprobe", "raw": "raw tracepoint"}
_CASES = {
    "open_other": "open+close, no package",
    "open_seen": "open+close, package seen",
    "other_call": "getppid",
}

_INTRODUCTION = f"""\
# Kernels

Written by `make kernels`; do not edit.

## What is tried
- **Stock kernels of Debian** in QEMU, whose processors are emulated: no KVM and no root needed. The image is
  made of Debian's packages, checked by apt, and cached outside the repository.
- **Each kernel with every hook it has**: fentry and kprobe on `security_file_open`, and the raw tracepoint
  `sys_exit`. The sensor's own capture runs in the guest, under its python3 and bcc, and processes in mount
  namespaces of their own do what is to be noticed. Left to itself, the sensor must choose the first hook of
  this table that the kernel has, and give a reason for those that it refused.
- **{len({**CHECKS, **CHECKS_V1})} checks** of each: {", ".join((*CHECKS, *CHECKS_V1))};
  and that each program costs the verifier at most {BUDGET:,} instructions.
- A guest that does not tell each result is an error: it is tried once more, then all that is missing has
  failed.
"""

_COST_TEXT = """\
Instructions of the processor that a hook adds to one operation, kernel and user space together, counted by
the emulator, in a mount namespace that is not the host's; in brackets as a ratio of the raw tracepoint's.
The operation is called from Python, whose own instructions are in `bare`. Instructions are not nanoseconds;
those of a real machine are in [performance.md](performance.md)."""

_APPLICATIONS_TEXT = f"""\
## Applications
Change of throughput, with and without each hook in turn, in a guest of one processor whose clock counts
instructions, so no neighbour can disturb it. The bar for fentry and kprobe is {(LEAST - 1) * 100:+.0f} %;
the raw tracepoint, which every system call pays for, has none. Redis: SET and GET by redis-benchmark over
one connection (with several, chance is worth 1 %). nginx: a page of 1 KiB by ab, over one too, opened for
each request. `bare`: requests in a second of that clock."""


def document(told: Sequence[Told]) -> str:
    """The whole page. Without dates and places: the same results change nothing."""
    checked, measured, applied = (_of(told, what) for what in KINDS)
    parts = [
        _INTRODUCTION,
        "\n".join(_results(checked)),
        "\n".join(_verifier(checked)),
        "\n".join(_costs(measured)),
        "\n".join(_applications(applied)),
        "\n".join(_where(checked)),
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def _of(told: Iterable[Told], what: str) -> list[Told]:
    order = {name: number for number, name in enumerate((*ARCHITECTURES, *KERNELS))}
    found = [one for one in told if one.spec.order.what == what]
    return sorted(found, key=lambda one: (order[one.spec.architecture], order[one.spec.kernel], one.bcc))


def _results(told: Sequence[Told]) -> Iterator[str]:
    yield "## Results"
    yield f"Checks passed of those made; `–`: the kernel has no such hook. {counts(told)[0]} in all."
    yield ""
    yield "| kernel | | bcc | " + " | ".join(_TITLES[hook] for hook in HOOKS) + " |"
    yield "|---|---|---|" + "---|" * len(HOOKS)
    for one in told:
        yield _row(*_head(one), *(_score(one, hook) for hook in HOOKS))


def _score(one: Told, hook: str) -> str:
    found = [result.ok for result in one.results() if result.hook == hook]
    return f"{sum(found)} of {len(found)}" if found else "–"


def _verifier(told: Sequence[Told]) -> Iterator[str]:
    yield "## Instructions that the verifier processed"
    yield f"For the program of execs, and for that of opens by hook. The budget is {BUDGET:,} for each."
    yield ""
    yield "| kernel | | bcc | execs | " + " | ".join(_TITLES[hook] for hook in HOOKS) + " |"
    yield "|---|---|---|---|" + "---|" * len(HOOKS)
    for one in told:
        execs = [_figure(one, hook, f"{INSTRUCTIONS} exec") for hook in one.spec.order.hooks]
        opens = [_figure(one, hook, f"{INSTRUCTIONS} open") for hook in HOOKS]
        yield _row(*_head(one), execs[0] if execs else "–", *opens)


def _costs(told: Sequence[Told]) -> Iterator[str]:
    yield "## Cost"
    yield _COST_TEXT
    for case in CASES:
        yield ""
        yield f"| {_CASES[case]} | | bare | " + " | ".join(_TITLES[hook] for hook in HOOKS) + " |"
        yield "|---|---|---|" + "---|" * len(HOOKS)
        for one in told:
            yield _row(*_head(one)[:2], _figure(one, "", f"{COST} {case}"), *_added(one, case))


def _added(one: Told, case: str) -> Iterator[str]:
    raw = one.figures.get(("raw", f"{COST} {case}"))
    for hook in HOOKS:
        value = one.figures.get((hook, f"{COST} {case}"))
        if value is None:
            yield "–"
        elif raw and hook != "raw":
            yield f"{value:+,.0f} ({value / raw:.2f})"
        else:
            yield f"{value:+,.0f}"


def _applications(told: Sequence[Told]) -> Iterator[str]:
    yield _APPLICATIONS_TEXT
    for name in APPLICATIONS:
        yield ""
        yield f"| {name} | | bare | " + " | ".join(_TITLES[hook] for hook in HOOKS) + " |"
        yield "|---|---|---|" + "---|" * len(HOOKS)
        for one in told:
            changes = [one.figures.get((hook, name)) for hook in HOOKS]
            shown = ["–" if ratio is None else f"{(ratio - 1) * 100:+.2f} %" for ratio in changes]
            yield _row(*_head(one)[:2], _figure(one, "", f"{name} bare"), *shown)


def _where(told: Sequence[Told]) -> Iterator[str]:
    yield "## Which"
    yield "| kernel | | Debian | Python | bcc | cgroup v1 by |"
    yield "|---|---|---|---|---|---|"
    for one in told:
        package = one.version.partition("Debian ")[2].split(" ")[0]
        yield _row(*_head(one)[:2], package, one.python, one.bcc, _figure(one, "", "cgroup v1 controller"))
    missing = [
        f"{kernel} {name}" for name in ARCHITECTURES for kernel in KERNELS if len(hooks_of(kernel, name)) < 3
    ]
    yield ""
    yield f"No fentry on {' and '.join(missing)}: BPF trampolines came to arm64 with Linux 6.4."


def _figure(one: Told, hook: str, name: str) -> str:
    value = one.figures.get((hook, name))
    if value is None:
        return "–"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _head(one: Told) -> tuple[str, str, str]:
    return one.spec.kernel, one.spec.architecture, one.bcc


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
