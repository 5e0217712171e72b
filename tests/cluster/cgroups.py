"""Control groups of pods, named as a kubelet names them, under either of its cgroup drivers.

The rules are kubelet's (``cm/cgroup_manager_linux.go``, ``cm/pod_container_manager_linux.go``) and
systemd's: the slice ``a-b.slice`` lies in ``a.slice``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from tests.ground import cgroups
from tests.ground.mounts import mounts


class Driver(Enum):
    """``cgroupDriver`` of a kubelet's configuration."""

    CGROUPFS = "cgroupfs"
    SYSTEMD = "systemd"


class Qos(Enum):
    """Quality of service of a pod; the pods of the first have no folder of their class."""

    GUARANTEED = "guaranteed"
    BURSTABLE = "burstable"
    BESTEFFORT = "besteffort"


HANDLER = "runc-named-by-systemd"
"""Runtime handler of the pods of systemd's driver: runc, called by the script below."""
NAMED_BY_SYSTEMD = r"""#!/bin/sh
# containerd asks runc for "SLICE:cri-containerd:ID", and systemd would make the unit's cgroup of it. Where no
# systemd runs, this writes that cgroup's path into the bundle and leaves the making to runc.
case " $* " in
*" create "*) ;;
*) exec runc "$@" ;;
esac
before= bundle=.
for word; do
	[ "$before" = --bundle ] && bundle=$word
	before=$word
done
config=$bundle/config.json
asked=$(sed -n 's/.*"cgroupsPath":"\([^":]*\)\.slice:cri-containerd:\([0-9a-f]*\)".*/\1 \2/p' "$config")
if [ -n "$asked" ]; then
	path= slice=
	IFS=-
	for part in ${asked% *}; do
		slice=${slice:+$slice-}$part
		path=$path/$slice.slice
	done
	path=$path/cri-containerd-${asked#* }.scope
	sed -i 's|"cgroupsPath":"[^"]*"|"cgroupsPath":"'"$path"'"|' "$config"
fi
exec runc "$@"
"""
"""Called instead of runc: gives containers the cgroups that a systemd would."""


def pod_parent(uid: str, qos: Qos, driver: Driver) -> str:
    """What a kubelet asks for as ``cgroup_parent`` of the pod's sandbox."""
    if driver is Driver.CGROUPFS:
        return "/".join(["/kubepods", *_class(qos), f"pod{uid}"])
    name = "-".join(["kubepods", *_class(qos), "pod" + uid.replace("-", "_")])
    slices = ["kubepods.slice", *(f"kubepods-{part}.slice" for part in _class(qos)), f"{name}.slice"]
    return "/" + "/".join(slices)


def container_path(parent: str, container_id: str) -> str:
    """The cgroup of a container or of a sandbox in the pod's cgroup ``parent``."""
    name = f"cri-containerd-{container_id}.scope" if parent.endswith(".slice") else container_id
    return f"{parent}/{name}"


def hierarchies() -> list[Path]:
    """Mount points of the cgroup hierarchies: one on v2, one per controller on v1."""
    return [mount.target for mount in mounts() if mount.kind in {"cgroup", "cgroup2"}]


def take_away(parent: str, roots: Iterable[Path]) -> None:
    """Removes a pod's cgroup in the hierarchies ``roots``, as a kubelet does once its containers are gone."""
    for root in roots:
        folder = root / parent.lstrip("/")
        with contextlib.suppress(OSError):  # never made in this hierarchy, or the sweep is to take it
            for below in folder.iterdir():
                if below.is_dir():
                    below.rmdir()
            folder.rmdir()


def sweep(paths: Iterable[str]) -> None:
    """Kills whatever runs in ``paths`` and removes them with the parents that are left empty."""
    for path in paths:
        cgroups.remove(path)


def _class(qos: Qos) -> list[str]:
    return [] if qos is Qos.GUARANTEED else [qos.value]
