"""Python: how a file that an interpreter opens leads to its distribution, case by case."""

from __future__ import annotations

from sensor.node.resolve.python.resolver import PythonResolver
from tests.edges.case import Case, Expected
from tests.edges.python_bytes import (
    DEBIAN,
    SITE,
    conda,
    egg_info,
    metadata,
    one,
    record,
    wheel,
)
from tests.edges.python_places import ARCHIVES, PLACES, PROJECTS

_CONDA = "/opt/conda"
_CONDA_SITE = f"{_CONDA}/lib/python3.12/site-packages"


def resolver() -> PythonResolver:
    return PythonResolver()


_METADATA = (
    Case(
        "name with a dot and capitals",
        "snyk-docker-plugin, lib/python-parser/metadata-parser.ts: name.toLowerCase(); PEP 503 for the purl",
        wheel("Zope.Interface_x", "5.0", "zope/interface/__init__.py"),
        f"{SITE}/zope/interface/__init__.py",
        one("Zope.Interface_x", "5.0", "5.0.0", purl="zope-interface-x"),
    ),
    Case(
        "post release",
        "snyk-docker-plugin, metadata-parser.ts: semver.coerce(version); node-semver 7, COERCE",
        wheel("a", "4.6.2.post1", "a.py"),
        f"{SITE}/a.py",
        one("a", "4.6.2.post1", "4.6.2"),
    ),
    Case(
        "local version",
        "snyk-docker-plugin, metadata-parser.ts: semver.coerce(version); PEP 440, local versions",
        wheel("torch", "2.1.0+cpu", "torch/__init__.py"),
        f"{SITE}/torch/__pycache__/__init__.cpython-312.pyc",
        (Expected("pkg:pypi/torch@2.1.0%2Bcpu", "torch", "2.1.0"),),
    ),
    Case(
        "release candidate of two numbers",
        "snyk-docker-plugin, metadata-parser.ts: semver.coerce(version)",
        wheel("a", "1.0rc1", "a.py"),
        f"{SITE}/a.py",
        one("a", "1.0rc1", "1.0.0"),
    ),
    Case(
        "headers end at the first blank line",
        "Core metadata specification: the format is that of email headers, the description is the body",
        {f"{SITE}/a-1.0.dist-info/METADATA": b"Name: a\n\nVersion: 9\n", f"{SITE}/a.py": b""},
        f"{SITE}/a.py",
        one("a", None, None),
    ),
    Case(
        "metadata without a name",
        "pip 24, metadata/importlib/_dists.py: the folder's name counts where METADATA cannot tell",
        {**wheel("a", "1.2", "a.py"), f"{SITE}/a-1.2.dist-info/METADATA": b"\0\xff junk"},
        f"{SITE}/a.py",
        one("a", "1.2", "1.2.0"),
    ),
    Case(
        "no metadata file",
        "PEP 376: the folder is called name-version.dist-info",
        {f"{SITE}/a_b-1.2.dist-info/RECORD": record("ab/__init__.py"), f"{SITE}/ab/__init__.py": b""},
        f"{SITE}/ab/__init__.py",
        one("a_b", "1.2", "1.2.0", purl="a-b"),
    ),
    Case(
        "the interpreter describes itself",
        "Debian's libpython3.11-stdlib up to bookworm ships Python-3.x.egg-info for its own library",
        {f"{DEBIAN}/Python-2.7.egg-info": metadata("Python", "2.7"), f"{DEBIAN}/python.py": b""},
        f"{DEBIAN}/python.py",
        "not_a_package",
    ),
    Case(
        "leftover of a removal that failed",
        "pip, req/req_uninstall.py, AdjacentTempDirectory: renamed folders begin with ~",
        {f"{SITE}/~ix-1.0.dist-info/METADATA": metadata("six"), f"{SITE}/ix.py": b""},
        f"{SITE}/ix.py",
        "not_a_package",
    ),
)

_LISTS = (
    Case(
        "file beside the site directory's level",
        "PEP 376: RECORD's paths are relative to the folder of the dist-info and may leave it",
        wheel("mixed", "1.0", "_m.so", "../../../lib64/python3.12/site-packages/mixed/a.py")
        | {"/usr/local/lib64/python3.12/site-packages/mixed/a.py": b""},
        "/usr/local/lib64/python3.12/site-packages/mixed/a.py",
        one("mixed"),
    ),
    Case(
        "quoted path in RECORD",
        "PEP 376: RECORD is CSV as Python's csv module reads it",
        {**wheel("a", "1.0"), f"{SITE}/a-1.0.dist-info/RECORD": b'"a/b,c.py",,\n', f"{SITE}/a/b,c.py": b""},
        f"{SITE}/a/b,c.py",
        one("a"),
    ),
    Case(
        "single module",
        "PEP 376: RECORD names six.py in the site directory itself",
        {**wheel("six", "1.0", "six.py"), **wheel("other", "2", "other.py")},
        f"{SITE}/__pycache__/six.cpython-312.opt-1.pyc",
        one("six"),
    ),
    Case(
        "extension module at the top",
        "importlib.machinery.EXTENSION_SUFFIXES of CPython 3.12",
        wheel("cffi", "1.0", "cffi/__init__.py", "_cffi_backend.cpython-312-x86_64-linux-gnu.so"),
        f"{SITE}/_cffi_backend.cpython-312-x86_64-linux-gnu.so",
        one("cffi"),
    ),
    Case(
        "library that a wheel brings",
        "auditwheel repairs wheels by copying libraries to <name>.libs, with a hash in the name",
        wheel("numpy", "2.0.0", "numpy/__init__.py", "numpy.libs/libgfortran-040039e1.so.5.0.0"),
        f"{SITE}/numpy.libs/libgfortran-040039e1.so.5.0.0",
        one("numpy", "2.0.0", "2.0.0"),
    ),
    Case(
        "byte code without sources",
        "compileall -b writes a.pyc beside a.py; PEP 3147: without the source it is imported",
        {**wheel("a", "1.0", "a/__init__.py", "a/b.py"), f"{SITE}/a/b.pyc": b""},
        f"{SITE}/a/b.pyc",
        one("a"),
    ),
    Case(
        "byte code below PYTHONPYCACHEPREFIX",
        "importlib._bootstrap_external.cache_from_source of CPython 3.12; seen with 3.11.2",
        {**wheel("a", "1.0", "a/b.py"), f"/tmp/cache{SITE}/a/b.cpython-312.pyc": b""},
        f"/tmp/cache{SITE}/a/b.cpython-312.pyc",
        one("a"),
    ),
    Case(
        "namespace package of two distributions",
        "PEP 420: portions of a namespace may come from several distributions; each lists its own",
        {
            **wheel("google-auth", "2.0", "google/auth/a.py"),
            **wheel("protobuf", "5.0", "google/protobuf/b.py"),
        },
        f"{SITE}/google/protobuf/b.py",
        one("protobuf", "5.0", "5.0.0"),
    ),
    Case(
        "namespace's own file that two list",
        "pkgutil-style namespace packages: every distribution brings the same __init__.py (packaging guide)",
        {**wheel("ns-a", "1.0", "ns/__init__.py", "ns/a.py"), **wheel("ns-b", "1.0", "ns/__init__.py")},
        f"{SITE}/ns/__init__.py",
        (*one("ns-a"), *one("ns-b")),
    ),
    Case(
        "vendored copy with metadata of its own",
        "setuptools 71 and later keep their vendored distributions' dist-info in setuptools/_vendor",
        wheel("setuptools", "80.0", "setuptools/__init__.py", "setuptools/_vendor/packaging/tags.py")
        | wheel("packaging", "24.2", "packaging/tags.py", site=f"{SITE}/setuptools/_vendor"),
        f"{SITE}/setuptools/_vendor/packaging/tags.py",
        one("setuptools", "80.0", "80.0.0"),
    ),
    Case(
        "installed-files.txt",
        "setuptools install --single-version-externally-managed, as old pip called it, wrote this list",
        egg_info("PyYAML-5.4-py3.9.egg-info", "PyYAML", "5.4", "wrong", site=SITE)
        | {f"{SITE}/PyYAML-5.4-py3.9.egg-info/installed-files.txt": b"../yaml/__init__.py\n../_yaml.py\n"},
        f"{SITE}/yaml/loader.py",
        one("PyYAML", "5.4", "5.4.0"),
    ),
)

_NAMES = (
    Case(
        "Debian package with top_level.txt",
        "dh_python3 removes RECORD; seen in python3-yaml 6.0-3 of Debian 12",
        egg_info("PyYAML-6.0.dist-info", "PyYAML", "6.0", "_yaml", "yaml", site=DEBIAN)
        | {f"{DEBIAN}/PyYAML-6.0.dist-info/METADATA": metadata("PyYAML", "6.0")},
        f"{DEBIAN}/yaml/__init__.py",
        one("PyYAML", "6.0", "6.0.0"),
    ),
    Case(
        "Debian package whose modules are called otherwise",
        "dpkg-query(1) --listfiles; seen in python3-gi 3.42 of Debian 12: PyGObject's egg-info is a file",
        {
            f"{DEBIAN}/PyGObject-3.42.2.egg-info": metadata("PyGObject", "3.42.2"),
            "/var/lib/dpkg/info/python3-gi.list": "\n".join(
                (DEBIAN, f"{DEBIAN}/PyGObject-3.42.2.egg-info", f"{DEBIAN}/gi", f"{DEBIAN}/gi/__init__.py")
            ).encode(),
        },
        f"{DEBIAN}/gi/__init__.py",
        one("PyGObject", "3.42.2", "3.42.2"),
    ),
    Case(
        "egg-info file called like its module",
        "distutils install_egg_info writes one file; seen in python3-bpfcc 0.26 of Debian 12",
        {f"{DEBIAN}/bcc-0.26.0.egg-info": metadata("bcc", "0.26.0"), f"{DEBIAN}/bcc/__init__.py": b""},
        f"{DEBIAN}/bcc/__pycache__/__init__.cpython-311.pyc",
        one("bcc", "0.26.0", "0.26.0"),
    ),
    Case(
        "module that no metadata speaks of",
        "importlib.metadata.packages_distributions has no entry for it; seen in python3-cffi-backend",
        {**wheel("a", "1.0", "a.py"), f"{SITE}/_cffi_backend.so": b""},
        f"{SITE}/_cffi_backend.so",
        "not_a_package",
    ),
    Case(
        "conda package without a dist-info",
        "conda's conda-meta/<name>-<version>-<build>.json lists the files of each package",
        conda(_CONDA, "menuinst", "2.0.2", "py312h06a4308_1", "lib/python3.12/site-packages/menuinst/x.py")
        | {f"{_CONDA_SITE}/menuinst/x.py": b""},
        f"{_CONDA_SITE}/menuinst/x.py",
        one("menuinst", "2.0.2", "2.0.2"),
    ),
    Case(
        "conda package with a dist-info",
        "conda-build runs pip, whose METADATA and RECORD are more exact than conda's name",
        conda(_CONDA, "pyyaml", "9.9", "py312_0", "lib/python3.12/site-packages/yaml/__init__.py")
        | wheel("PyYAML", "6.0.1", "yaml/__init__.py", site=_CONDA_SITE),
        f"{_CONDA_SITE}/yaml/__init__.py",
        one("PyYAML", "6.0.1", "6.0.1"),
    ),
    Case(
        "conda package that is no Python package",
        "conda-build names builds for Python py…; others have h<hash>_<number>",
        conda(_CONDA, "openssl", "3.0", "h7f8727e_0", "lib/python3.12/site-packages/ssl_x.py")
        | {f"{_CONDA_SITE}/ssl_x.py": b""},
        f"{_CONDA_SITE}/ssl_x.py",
        "not_a_package",
    ),
)

CASES: tuple[Case, ...] = (*_METADATA, *_LISTS, *_NAMES, *PLACES, *PROJECTS, *ARCHIVES)
