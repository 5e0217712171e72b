"""Where Python packages stand: --target folders, environments, eggs, projects."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensor.node.resolve.python import folders
from tests.clock import at_little_cost
from tests.unit.python_container import NONE, SITE, Container, metadata, opened


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    with opened(tmp_path / "root") as container:
        yield container


def test_target_folder(container: Container) -> None:
    container.install("six", "1", "six.py", site="/app/deps")
    container.install("flask", "3", "flask/app.py", site="/app/deps")
    for path in ("/app/main.py", "/app/deps/main.py"):
        container.write(path)
        assert container.ask(path) is NONE
    assert container.ask("/app/deps/six.py") == {"six@1"}
    assert container.ask("/app/deps/flask/app.py") == {"flask@3"}


def test_packages_in_the_root_folder(container: Container) -> None:
    container.install("six", "1", "six.py", site="")
    container.write("/var/task.py")
    assert container.ask("/six.py") == {"six@1"}
    assert container.ask("/var/task.py") is NONE


def test_venv_has_its_own_copy(container: Container) -> None:
    container.install("six", "1", "six.py")
    venv = "/app/venv/lib/python3.11/site-packages"
    container.install("six", "2", "six.py", site=venv)
    container.egg_info("app.egg-info", "app", "0", "venv", "app", site="/app")
    assert container.ask(f"{venv}/six.py") == {"six@2"}
    assert container.ask(f"{SITE}/six.py") == {"six@1"}


def test_lib_and_lib64(container: Container) -> None:
    pure, platform = "/usr/lib/python3.9/site-packages", "/usr/lib64/python3.9/site-packages"
    container.install(
        "mixed", "1", "_mixed.so", "../../../lib/python3.9/site-packages/mixed/a.py", site=platform
    )
    container.install("other", "1", "other/a.py", site=pure)
    assert container.ask(f"{platform}/_mixed.so") == {"mixed@1"}
    assert container.ask(f"{pure}/mixed/__pycache__/a.cpython-39.pyc") == {"mixed@1"}
    assert container.ask(f"{pure}/unknown/a.py") is NONE


def test_egg_folder(container: Container) -> None:
    egg = f"{SITE}/foo-1.0-py3.11.egg"
    container.write(f"{egg}/EGG-INFO/PKG-INFO", metadata("foo", "1.0"))
    container.install("six", "1", "six.py")
    assert container.ask(f"{egg}/foo/deep/__pycache__/x.cpython-311.pyc") == {"foo@1.0"}
    assert container.ask(f"{egg}/foo.py") == {"foo@1.0"}


def test_develop_install_beside_its_sources(container: Container) -> None:
    container.egg_info("my_thing.egg-info", "my.thing", "1.2", "mything", site="/srv/project/src")
    container.write("/srv/project/manage.py")
    assert container.ask("/srv/project/src/mything/views.py") == {"my-thing@1.2"}
    assert container.ask("/srv/project/manage.py") is NONE


def test_editable_install_without_egg_info(container: Container) -> None:
    info = container.install("my-thing", "1.2", "_my_thing.pth")
    url = {"dir_info": {"editable": True}, "url": "file:///srv/my%20project/"}
    container.write(f"{info}/direct_url.json", json.dumps(url))
    container.install("six", "1", "six.py")
    container.install("vendored", "1", "vendored.py", site="/srv/my project/deps")
    container.ask(f"{SITE}/six.py")  # the site directory must have been seen in this container
    views = container.write("/srv/my project/src/mything/views.py")
    assert container.ask(views) == {"my-thing@1.2"}
    assert container.ask("/srv/my project/deps/vendored.py") == {"vendored@1"}
    assert container.ask(container.write("/srv/my project 2/x.py")) is NONE


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"url":"file:///x"}', '{"url":1,"dir_info":{"editable":true}}'),
        pytest.param("[" * 50_000, id="deep"),
    ],
)
def test_junk_in_direct_url(container: Container, text: str) -> None:
    info = container.install("six", "1", "six.py")
    container.write(f"{info}/direct_url.json", text)
    assert container.ask(f"{SITE}/six.py") == {"six@1"}
    assert container.ask(container.write("/x/y.py")) is NONE


def test_project_is_found_before_its_site_directory_was_seen(container: Container) -> None:
    """A .pth file is no evidence and passes no filter: the first file seen may be the project's."""
    container.install("Mono", "1", "_mono.pth")
    container.write(f"{SITE}/_mono.pth", "/srv/mono/src\n")
    assert container.ask(container.write("/srv/mono/src/mono/a.py")) == {"mono@1"}
    assert container.ask(container.write("/srv/mono/setup.py")) is NONE


def test_environment_that_comes_later(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(value=100.0)
    clock = SimpleNamespace(time=time.time, monotonic=lambda: now.value)
    monkeypatch.setattr(folders, "time", clock)
    source = container.write("/srv/mono/mono/a.py")
    assert container.ask(source) is NONE
    site = "/srv/mono/.venv/lib/python3.12/site-packages"
    container.install("mono", "1", "mono.pth", site=site)
    container.write(f"{site}/mono.pth", "/srv/mono\n")
    assert container.ask(source) is NONE  # not looked for again so soon
    now.value += folders.PREFIX_SECONDS
    assert container.ask(source) == {"mono@1"}


def test_site_directories_without_projects_are_not_read(container: Container) -> None:
    container.install("six", "1", "six.py")
    container.write(f"{SITE}/distutils-precedence.pth", "import os\n")
    assert container.ask(container.write("/srv/app/main.py")) is NONE
    assert SITE not in {key[0] for key in container.resolver.folders.sites._sites}


def test_name_of_the_pth_file_where_no_list_has_it(container: Container) -> None:
    for name, file in {"one": "__editable__.one-0.1.pth", "two": "_two.pth", "three": "three.pth"}.items():
        container.write(f"{SITE}/{name}-1.dist-info/METADATA", metadata(name, "1"))
        container.write(f"{SITE}/{file}", f"/srv/{name}\n")
        container.write(f"{SITE}/unrelated.pth", "/srv/unrelated\n")
    for name in ("one", "two", "three"):
        assert container.ask(container.write(f"/srv/{name}/x.py")) == {f"{name}@1"}
    assert container.ask(container.write("/srv/unrelated/x.py")) is NONE


def test_many_places_to_look_in_take_bounded_time(container: Container) -> None:
    deep = "/srv" + "/d" * 35
    for end in range(4, len(deep), 2):
        for name in ("venv", ".venv", "env"):
            container.write(f"{deep[:end]}/{name}/lib/python3.1/site-packages/x.pth", "/srv\n")
    source = container.write(f"{deep}/x.py")
    with at_little_cost():
        assert container.ask(source) is NONE
    assert len(next(iter(container.resolver.folders._roots.values())).prefixes) <= 512


def test_debian_modules_by_the_list_of_dpkg(container: Container) -> None:
    site = "/usr/lib/python3/dist-packages"
    container.write(f"{site}/python_apt-2.6.0.egg-info", metadata("python-apt", "2.6.0"))
    files = ("python_apt-2.6.0.egg-info", "apt", "apt/cache.py", "apt_pkg.cpython-311-x86_64-linux-gnu.so")
    lists = "/var/lib/dpkg/info"
    container.write(f"{lists}/python3-apt.list", "\n".join(f"{site}/{file}" for file in files))
    container.write(f"{lists}/libapt.list", f"{site}/other")
    for file in (*files[2:], "other.py"):
        container.write(f"{site}/{file}")
    for file in files[2:]:
        assert container.ask(f"{site}/{file}") == {"python-apt@2.6.0"}
    assert container.ask(f"{site}/other.py") is NONE
