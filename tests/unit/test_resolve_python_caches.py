"""What is remembered, for how long, and how much of it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensor.model.package import Skipped
from sensor.node.resolve.python import folders
from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.folders import SiteCache
from sensor.node.resolve.python.site import Site
from sensor.node.rootfs import RootFilesystem
from tests.unit.python_container import NONE, SITE, Container, opened


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    with opened(tmp_path / "root") as container:
        yield container


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time of the folder cache, moved by hand."""
    fake = SimpleNamespace(now=1000.0, time=time.time)
    fake.monotonic = lambda: fake.now
    monkeypatch.setattr(folders, "time", fake)
    return fake


def test_install_while_running_is_seen(container: Container, clock: SimpleNamespace) -> None:
    container.install("six", "1", "six.py")
    container.age()
    assert container.ask(f"{SITE}/flask/__init__.py") is NONE
    container.install("flask", "3", "flask/__init__.py")
    container.age(seconds=1800)
    assert container.ask(f"{SITE}/flask/__init__.py") is NONE  # believed for a second
    clock.now += folders.BELIEVED_SECONDS
    assert container.ask(f"{SITE}/flask/__init__.py") == {"flask@3"}


def test_list_written_after_the_folder_was_read(container: Container, clock: SimpleNamespace) -> None:
    """pip writes RECORD last, which does not change the site directory itself."""
    info = container.folder / container.install("flask", "3", "other/__init__.py")[1:]
    record = (info / "RECORD").read_bytes()
    (info / "RECORD").unlink()
    assert container.ask(f"{SITE}/other/__init__.py") is NONE
    (info / "RECORD").write_bytes(record)
    clock.now += folders.BELIEVED_SECONDS
    assert container.ask(f"{SITE}/other/__init__.py") is NONE
    clock.now += folders.REREAD_SECONDS
    assert container.ask(f"{SITE}/other/__init__.py") == {"flask@3"}


def test_containers_of_one_image_share_what_was_read(container: Container, clock: SimpleNamespace) -> None:
    container.install("six", "1", "six.py")
    container.age()
    sites = container.resolver.folders.sites
    for number in range(3):
        root = RootFilesystem(container.fd)
        assert not isinstance(container.resolver.resolve(root, f"{SITE}/six.py"), Skipped)
        assert (sites.misses, sites.hits) == (1, number)


def test_another_container_on_a_reused_descriptor(container: Container, tmp_path: Path) -> None:
    container.install("six", "1", "six.py")
    assert container.ask(f"{SITE}/six.py") == {"six@1"}
    other = Container(tmp_path / "other")
    other.install("six", "2", "six.py")
    os.dup2(other.fd, container.fd)
    container.root = RootFilesystem(container.fd)
    gc.collect()
    assert container.ask(f"{SITE}/six.py") == {"six@2"}
    os.close(other.fd)


def test_nothing_is_kept_of_a_container_that_is_gone(container: Container) -> None:
    container.install("six", "1", "six.py")
    container.ask(f"{SITE}/six.py")
    roots = container.resolver.folders._roots
    assert len(roots) == 1
    container.root = RootFilesystem(container.fd)
    gc.collect()
    assert len(roots) == 0


def test_folders_of_a_container_are_bounded(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_FOLDERS_OF_ROOT", 4)
    for number in range(6):
        container.install("six", "1", "six.py", site=f"/apps/{number}")
        assert container.ask(f"/apps/{number}/six.py") == {"six@1"}
    assert container.resolver.folders.resets > 0
    assert all(len(state.folders) <= 4 for state in container.resolver.folders._roots.values())


def test_site_cache_is_bounded_in_number_and_weight() -> None:
    cache = SiteCache(size=3, weight=5)
    for number in range(4):
        cache.put((f"/{number}", (0, 0, 0, 0, 0)), Site(f"/{number}"), float("inf"))
    assert (len(cache), cache.weight, cache.evictions) == (3, 3, 1)
    assert cache.get(("/0", (0, 0, 0, 0, 0)), 0) is None
    one = Distribution("/h", "six-1.dist-info")
    heavy = Site("/h", outside=(("/1", one), ("/2", one), ("/3", one)))
    cache.put(("/h", (0, 0, 0, 0, 0)), heavy, float("inf"))
    assert (len(cache), cache.weight, cache.evictions) == (2, 5, 3)
    cache.put(("/h", (0, 0, 0, 0, 0)), heavy, 1.0)
    assert (len(cache), cache.weight) == (2, 5)
    assert cache.get(("/h", (0, 0, 0, 0, 0)), 2.0) is None  # outlived
    assert (cache.hits, cache.misses) == (0, 2)


def test_memory_follows_packages_not_files(container: Container) -> None:
    container.install("huge", "1", "huge/__init__.py")
    lines = "".join(f"huge/p{number % 500}/m{number}.py,sha256=x,1\n" for number in range(100_000))
    container.write(f"{SITE}/huge-1.dist-info/RECORD", lines)
    assert container.ask(f"{SITE}/huge/p7/m7.py") == {"huge@1"}
    site = container.resolver.folders.get(container.root, SITE)
    assert site.weight < 10


def test_known_folder_costs_no_system_call(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    container.install("six", "1", "six.py", "pkg/a.py", "pkg/b.py")
    container.ask(f"{SITE}/six.py")
    monkeypatch.setattr(RootFilesystem, "_opened", lambda *_: pytest.fail("asked the disk"))
    assert container.ask(f"{SITE}/pkg/b.py") == {"six@1"}


def test_no_descriptor_is_left(container: Container) -> None:
    container.install("six", "1", "six.py")
    container.write("/bad.whl", b"PK\x05\x06")
    before = len(os.listdir("/proc/self/fd"))
    for path in (f"{SITE}/six.py", "/bad.whl", "/none.whl", "/none/x.py"):
        container.ask(path)
    assert len(os.listdir("/proc/self/fd")) == before
