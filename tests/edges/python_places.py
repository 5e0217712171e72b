"""Python: the cases of where distributions stand: environments, projects, archives."""

from __future__ import annotations

from tests.edges.case import Case, Expected, Link
from tests.edges.python_bytes import (
    DEBIAN,
    SITE,
    archive,
    editable,
    egg_info,
    metadata,
    one,
    record,
    wheel,
)

_BUNDLE = archive(
    {
        "requests-2.dist-info/METADATA": metadata("requests", "2"),
        "requests-2.dist-info/RECORD": record("requests/__init__.py", "requests/api.py"),
        "six.py": b"",
        "six-1.0.dist-info/METADATA": metadata("six"),
        "__main__.py": b"",
    }
)
_WHEEL = archive({"six-1.0.dist-info/METADATA": metadata("six"), "six.py": b""})
_EGG = archive({"EGG-INFO/PKG-INFO": metadata("foo"), "foo/__init__.py": b""})
_VENV = "/app/venv/lib/python3.12/site-packages"

PLACES = (
    Case(
        "--target folder",
        "pip install --target puts distributions into any folder, which PYTHONPATH then names",
        {**wheel("six", "1.0", "six.py", site="/app/deps"), "/app/deps/main.py": b""},
        "/app/deps/six.py",
        one("six"),
    ),
    Case(
        "the application's own code in a --target folder",
        "AWS Lambda's documentation: dependencies and handler lie in one folder, /var/task",
        {**wheel("six", "1.0", "six.py", site="/var/task"), "/var/task/handler.py": b""},
        "/var/task/handler.py",
        "not_a_package",
    ),
    Case(
        "virtual environment over the system's packages",
        "PEP 405, include-system-site-packages: the environment's own copy comes first on sys.path",
        {**wheel("six", "2.0", "six.py", site=_VENV), **wheel("six", "1.0", "six.py", site=DEBIAN)},
        f"{_VENV}/six.py",
        one("six", "2.0", "2.0.0"),
    ),
    Case(
        "the system's copy beside a virtual environment's",
        "PEP 405: what the environment has not is taken from the system",
        {**wheel("six", "2.0", "six.py", site=_VENV), **wheel("six", "1.0", "six.py", site=DEBIAN)},
        f"{DEBIAN}/six.py",
        one("six"),
    ),
    Case(
        "file that uv linked to from its cache",
        "uv pip install --link-mode symlink: the kernel sees the file in uv's cache, with its dist-info",
        wheel("six", "1.0", "six.py", site="/root/.cache/uv/archive-v0/Ab3"),
        "/root/.cache/uv/archive-v0/Ab3/six.py",
        one("six"),
    ),
    Case(
        "egg folder",
        "setuptools, formats of eggs: a folder on sys.path with EGG-INFO/PKG-INFO",
        {
            f"{SITE}/foo-1.0-py3.12.egg/EGG-INFO/PKG-INFO": metadata("foo"),
            f"{SITE}/foo-1.0-py3.12.egg/foo/deep.py": b"",
        },
        f"{SITE}/foo-1.0-py3.12.egg/foo/deep.py",
        one("foo"),
    ),
    Case(
        "extension of a zipped egg",
        "pkg_resources.ResourceManager.get_cache_path extracts to <egg>-tmp",
        {"/root/.cache/Python-Eggs/foo-1.0-py3.12-linux-x86_64.egg-tmp/foo/_x.so": b""},
        "/root/.cache/Python-Eggs/foo-1.0-py3.12-linux-x86_64.egg-tmp/foo/_x.so",
        one("foo"),
    ),
    Case(
        "one-file PyInstaller application with metadata",
        "PyInstaller copy_metadata puts dist-info folders beside the extracted extensions in _MEIxxxxxx",
        wheel("numpy", "2.0.0", "numpy/core/_x.so", site="/tmp/_MEIa1b2c3"),
        "/tmp/_MEIa1b2c3/numpy/core/_x.so",
        one("numpy", "2.0.0", "2.0.0"),
    ),
    Case(
        "one-file PyInstaller application without metadata",
        "PyInstaller collects modules, not metadata: nothing in the folder names a version or a package",
        {"/tmp/_MEIa1b2c3/numpy/core/_x.so": b""},
        "/tmp/_MEIa1b2c3/numpy/core/_x.so",
        "not_a_package",
    ),
    Case(
        "the standard library of a PyInstaller application",
        "PyInstaller, depend/utils.py: every application has it, and its packages in the executable",
        {"/app/_internal/base_library.zip": archive({"os.pyc": b""})},
        "/app/_internal/base_library.zip",
        "obfuscated",
    ),
    Case(
        "site directory behind links",
        "PEP 405: lib64 of a virtual environment is a link to lib; the kernel's path is the real one",
        {
            **wheel("six", "1.0", "six.py", site="/opt/real/site-packages"),
            SITE: Link("/opt/real/site-packages"),
        },
        f"{SITE}/six.py",
        one("six"),
    ),
)

PROJECTS = (
    Case(
        "editable install by direct_url.json",
        "PEP 610 and PEP 660; seen with pip 25 and hatchling: _mono.pth and direct_url.json",
        editable("mono", "1.2", "/srv/mono", "_mono.pth")
        | {f"{SITE}/_mono.pth": b"/srv/mono/src\n", "/srv/mono/src/mono/a.py": b""},
        "/srv/mono/src/mono/a.py",
        one("mono", "1.2", "1.2.0"),
    ),
    Case(
        "editable install by a .pth file alone",
        "site module: lines of .pth files are added to sys.path; RECORD says whose the file is (PEP 660)",
        wheel("mono", "1.2", "mono.pth")
        | {f"{SITE}/mono.pth": b"/srv/mono/src\n", "/srv/mono/src/mono/a.py": b""},
        "/srv/mono/src/mono/a.py",
        one("mono", "1.2", "1.2.0"),
    ),
    Case(
        "editable install in a project's own environment",
        "poetry's virtualenvs.in-project and uv put the environment into .venv of the project",
        editable("mono", "1.2", "/srv/mono", "mono.pth", site="/srv/mono/.venv/lib/python3.12/site-packages")
        | {"/srv/mono/.venv/lib/python3.12/site-packages/mono.pth": b"/srv/mono\n", "/srv/mono/m/a.py": b""},
        "/srv/mono/m/a.py",
        one("mono", "1.2", "1.2.0"),
    ),
    Case(
        "setup.py develop",
        "setuptools develop: an egg-info stands beside the sources, the site directory has an .egg-link",
        egg_info("my_thing.egg-info", "my.thing", "1.2", "mything", site="/srv/project")
        | {"/srv/project/mything/views.py": b"", "/srv/project/manage.py": b""},
        "/srv/project/mything/views.py",
        one("my.thing", "1.2", "1.2.0", purl="my-thing"),
    ),
    Case(
        "code beside an editable project",
        "PEP 610: the folder in direct_url.json is the project; its neighbour is another's",
        editable("mono", "1.2", "/srv/mono", "_mono.pth")
        | {f"{SITE}/_mono.pth": b"/srv/mono\n", "/srv/monologue/a.py": b""},
        "/srv/monologue/a.py",
        "not_a_package",
    ),
)

ARCHIVES = (
    Case(
        "zipped application",
        "PEP 441; zipimport opens the archive once, whatever is imported from it",
        {"/app/tool.pyz": _BUNDLE},
        "/app/tool.pyz",
        (
            Expected("pkg:pypi/requests@2", "requests", "2.0.0", "bundled"),
            Expected("pkg:pypi/six@1.0", "six", "1.0.0", "bundled"),
        ),
    ),
    Case(
        "module in a zipped application",
        "zipimport.zipimporter: __file__ is the archive's path and the member's; PEP 376 inside of it",
        {"/app/tool.pyz": _BUNDLE},
        "/app/tool.pyz/requests/api.py",
        one("requests", "2", "2.0.0"),
    ),
    Case(
        "single module in a zipped application, without RECORD",
        "PEP 376 leaves RECORD to the installer; the module is called like its distribution",
        {"/app/tool.pyz": _BUNDLE},
        "/app/tool.pyz/six.pyc",
        one("six"),
    ),
    Case(
        "the application's own module in its archive",
        "PEP 441: __main__.py belongs to no distribution",
        {"/app/tool.pyz": _BUNDLE},
        "/app/tool.pyz/__main__.py",
        "not_a_package",
    ),
    Case(
        "archive with a script in front and no suffix",
        "PEP 441 and pex: an interpreter line stands before the zip, and any name will do",
        {"/usr/local/bin/tool": b"#!/usr/bin/env python3\n" + _BUNDLE},
        "/usr/local/bin/tool/requests/__init__.py",
        one("requests", "2", "2.0.0"),
    ),
    Case(
        "zipped egg on sys.path",
        "importlib's path hooks open every archive on sys.path to import anything at all; seen with 3.11.2",
        {f"{SITE}/foo-1.0-py3.12.egg": _EGG},
        f"{SITE}/foo-1.0-py3.12.egg",
        one("foo", evidence="bundled"),
    ),
    Case(
        "module of a zipped egg",
        "setuptools, formats of eggs: everything in the zip is the egg's",
        {f"{SITE}/foo-1.0-py3.12.egg": _EGG},
        f"{SITE}/foo-1.0-py3.12.egg/foo/__init__.py",
        one("foo"),
    ),
    Case(
        "wheel on sys.path",
        "PEP 427: importing from a wheel is not supported officially, but works for pure ones",
        {"/app/six-1.0-py3-none-any.whl": _WHEEL},
        "/app/six-1.0-py3-none-any.whl/six.py",
        one("six"),
    ),
    Case(
        "wheel that pip unpacks",
        "pip 24, utils/temp_dir.py: downloads lie in folders called pip-unpack-… and pip-ephem-…",
        {"/tmp/pip-unpack-x1/six-1.0-py3-none-any.whl": _WHEEL},
        "/tmp/pip-unpack-x1/six-1.0-py3-none-any.whl",
        "not_a_package",
    ),
    Case(
        "wheel unpacked to a folder of its name",
        "pex unpacks to <PEX_ROOT>/installed_wheels/<hash>/<wheel>/, with the dist-info inside",
        wheel("six", "1.0", "six.py", site="/root/.pex/installed_wheels/0/ab/six-1.0-py3-none-any.whl"),
        "/root/.pex/installed_wheels/0/ab/six-1.0-py3-none-any.whl/six.py",
        one("six"),
    ),
    Case(
        "archive that is cut off",
        "PKZIP APPNOTE 4.3.16: without an end record it is no archive, and Python imports nothing from it",
        {"/app/tool.pyz": _BUNDLE[:-30]},
        "/app/tool.pyz",
        "not_a_package",
    ),
    Case(
        "the standard library as a zip",
        "CPython's getpath.py puts lib/python312.zip on sys.path",
        {"/usr/lib/python312.zip": archive({"os.py": b"", "json/__init__.py": b""})},
        "/usr/lib/python312.zip/json/__init__.py",
        "not_a_package",
    ),
)
