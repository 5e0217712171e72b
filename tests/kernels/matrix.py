"""Which guests there are: kernels, architectures, user spaces, and the hooks that each kernel has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.kernels.problem import KernelsError
from tests.kernels.protocol import APPLICATIONS, CHECKS, COST, KINDS, Order

HOOKS = ("fentry", "kprobe", "raw")
"""In the order in which the sensor tries them."""

KERNELS = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
"""Kernel -> Debian's suite that has it."""

ARCHITECTURES = ("amd64", "arm64")
OLD_BCC, NEW_BCC = "bookworm", "sid"
_APPLICATIONS = ("redis-server", "redis-tools", "nginx", "apache2-utils")
_PACKAGES = ("base-files", "dash", "coreutils", "util-linux", "busybox-static", "python3-bpfcc")

# On arm64, BPF trampolines came with Linux 6.4; then fentry is no luxury, kprobe is.
_NO_FENTRY = {("5.10", "arm64"), ("6.1", "arm64")}
# arm64 never had the oldest of the system calls that open.
_WITHOUT = {"amd64": (), "arm64": ("open(2)",)}
# Seconds: several times what a quiet machine takes, as others may use it too.
_LIMITS = {"amd64": 900.0, "arm64": 1500.0}


@dataclass(frozen=True)
class Spec:
    """One guest. ``user_space`` is the suite that its python3 and bcc are from."""

    kernel: str
    architecture: str
    user_space: str
    order: Order

    @property
    def suite(self) -> str:
        """Of the kernel."""
        return KERNELS[self.kernel]

    @property
    def counted(self) -> bool:
        """Costs are taken in guests where each instruction lasts as long as any other."""
        return self.order.what != CHECKS

    @property
    def packages(self) -> tuple[str, ...]:
        """What its user space holds, and what those need."""
        return _PACKAGES + (_APPLICATIONS if self.order.what == APPLICATIONS else ())

    @property
    def seconds(self) -> float:
        """After which the guest is given up."""
        return _LIMITS[self.architecture] * (2 if self.counted else 1)

    def __str__(self) -> str:
        what = f", {self.order.what}" if self.counted else ""
        return f"{self.kernel} {self.architecture}, user space of {self.user_space}{what}"


def hooks_of(kernel: str, architecture: str) -> tuple[str, ...]:
    """The hooks that a kernel has, in the order in which the sensor tries them."""
    return HOOKS[1:] if (kernel, architecture) in _NO_FENTRY else HOOKS


def guests(*, quick: bool, what: Sequence[str] | None, only: Sequence[str]) -> list[Spec]:
    """The slowest first. Raises KernelsError.

    ``what``: some of KINDS; usual are all, of the quick part CHECKS. ``only`` holds kernels,
    architectures and hooks.
    """
    wanted = set(what or ([CHECKS] if quick else KINDS))
    unknown = set(only) - {*KERNELS, *ARCHITECTURES, *HOOKS}
    if unknown:
        known = ", ".join((*KERNELS, *ARCHITECTURES, *HOOKS))
        raise KernelsError(f"--only {', '.join(sorted(unknown))}: expected some of {known}")
    everything = [spec for spec in _all(quick=quick) if spec.order.what in wanted]
    found = [narrow for spec in everything for narrow in _narrowed(spec, set(only))]
    if not found:
        raise KernelsError(f"--only {' '.join(only)} leaves no guest")
    return sorted(found, key=lambda spec: spec.architecture, reverse=True)


def _all(*, quick: bool) -> Iterator[Spec]:
    for architecture in ARCHITECTURES[:1] if quick else ARCHITECTURES:
        for kernel in ("5.10", "newest") if quick else KERNELS:
            hooks = hooks_of(kernel, architecture)
            absent = tuple(hook for hook in HOOKS if hook not in hooks)
            natural = OLD_BCC if kernel in ("5.10", "6.1") else NEW_BCC
            other = NEW_BCC if natural == OLD_BCC else OLD_BCC
            both = architecture == "amd64" and not quick
            checks = Order(
                *(CHECKS, hooks, absent),
                chosen=True,
                cgroup_v1=hooks[:1] if quick else hooks,
                without=_WITHOUT[architecture],
            )
            for user_space in (natural, other) if both else (natural,):
                yield Spec(kernel, architecture, user_space, checks)
            yield Spec(kernel, architecture, natural, replace(checks, what=COST))
            if architecture == "amd64":
                yield Spec(kernel, architecture, OLD_BCC, replace(checks, what=APPLICATIONS))


def _narrowed(spec: Spec, only: set[str]) -> list[Spec]:
    for value, known in ((spec.kernel, KERNELS), (spec.architecture, ARCHITECTURES)):
        if only & set(known) and value not in only:
            return []
    wanted = only & set(HOOKS)
    if not wanted:
        return [spec]
    hooks = tuple(hook for hook in spec.order.hooks if hook in wanted)
    first = spec.order.hooks[0] in wanted
    return (
        [replace(spec, order=replace(spec.order, hooks=hooks, cgroup_v1=hooks, chosen=first))]
        if hooks
        else []
    )
