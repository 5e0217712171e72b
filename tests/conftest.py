"""Options and what they ask of the machine.

Plain ``pytest`` runs what needs neither root nor a container. ``--kernel`` adds the tests that load
programs into this kernel, ``--containers`` those that run real containers, ``--cluster`` those against a
real API server and a real container runtime, ``--kubernetes`` those that bring up a whole node,
``--browser`` those that look at the receiver's page in chromium, ``--fuzz`` a minute of hostile bytes for
every parser. A test asked for on a machine that lacks what it needs fails; it is never skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_OPTIONS = {
    "kernel": "run the tests that load programs into this kernel; they need root",
    "containers": "run the tests that start real containers; they need root and runc",
    "cluster": "bring up a real API server and a real containerd; they need root, etcd and Go",
    "kubernetes": "bring up a node of Kubernetes, kubelet and all; they need root and what `up` builds",
    "browser": "look at the receiver's page with a real chromium",
    "fuzz": "feed hostile bytes to every parser for a minute",
}

_MACHINE = (
    ("kernel", "real_kernel"),
    ("containers", "real_containers"),
    ("cluster", "real_cluster"),
    ("kubernetes", "real_node"),
    ("browser", "real_browser"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, text in _OPTIONS.items():
        parser.addoption(f"--{name}", action="store_true", help=text)


def pytest_configure(config: pytest.Config) -> None:
    for name, text in _OPTIONS.items():
        config.addinivalue_line("markers", f"{name}: needs --{name}: {text}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = [name for name in _OPTIONS if not config.getoption(f"--{name}")]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    for name, fixture in _MACHINE:
        if request.node.get_closest_marker(name):
            request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def real_kernel() -> None:
    """Fails unless programs can be loaded into this kernel."""
    _require(os.geteuid() == 0, f"found user {os.geteuid()}, expected root: run `make test` as root")
    _require(
        Path("/sys/kernel/btf/vmlinux").is_file(),
        "found no /sys/kernel/btf/vmlinux, expected a kernel with CONFIG_DEBUG_INFO_BTF=y",
    )
    # In a child: this process must stay without LLVM, as some tests measure memory.
    found = subprocess.run(["/usr/bin/python3", "-I", "-c", "import bcc"], capture_output=True, check=False)
    _require(found.returncode == 0, "found no bcc under /usr/bin/python3: run `make setup`")


@pytest.fixture(scope="session")
def real_containers(real_kernel: None) -> None:
    """Fails unless containers can be run here."""
    for program in ("runc", "podman", "node", "npm", "java", "mvn", "go", "mcs"):
        _require(shutil.which(program) is not None, f"found no {program}: run `make setup`")


@pytest.fixture(scope="session")
def real_cluster() -> None:
    """Fails unless the parts of a cluster are here: `make setup` installs them."""
    _require(os.geteuid() == 0, f"found user {os.geteuid()}, expected root: run `make test-cluster` as root")
    for program in ("containerd", "ctr", "runc", "etcd", "go", "gcc", "setpriv"):
        _require(shutil.which(program) is not None, f"found no {program}, expected it: run `make setup`")


@pytest.fixture(scope="session")
def real_node() -> None:
    """Fails unless a cluster can be brought up here; which packages it lacks, it says itself."""
    _require(
        os.geteuid() == 0, f"found user {os.geteuid()}, expected root: run `make test-kubernetes` as root"
    )
    for program in ("go", "gcc", "ip", "nsenter", "unshare"):
        _require(shutil.which(program) is not None, f"found no {program}, expected it: run `make setup`")


@pytest.fixture(scope="session")
def real_browser() -> None:
    """Fails unless chromium and its driver are here."""
    for program in ("chromium", "chromedriver"):
        _require(shutil.which(program) is not None, f"found no {program}: run `make setup`")


def _require(met: bool, message: str) -> None:
    if not met:
        pytest.fail(message, pytrace=False)
