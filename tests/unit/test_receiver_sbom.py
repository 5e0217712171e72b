"""SBOMs: both formats, hostile ones, and whose image they are of."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sensor.receiver.queries.connection import reading
from sensor.receiver.queries.installed import compare
from sensor.receiver.sbom import document, purl, store
from sensor.receiver.sbom.interface import SbomError
from sensor.receiver.sbom.reference import normalised
from sensor.receiver.store import connect
from tests import receiver_seed


def _cyclonedx(*purls: str | None, **more: Any) -> bytes:
    components = [{"type": "library", "name": "x", **({"purl": p} if p else {})} for p in purls]
    return json.dumps(
        {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components, **more}
    ).encode()


def _spdx(*purls: str | None, **more: Any) -> bytes:
    packages = [
        {"name": "x", "externalRefs": [{"referenceType": "purl", "referenceLocator": p}] if p else []}
        for p in purls
    ]
    return json.dumps({"spdxVersion": "SPDX-2.3", "packages": packages, **more}).encode()


def _of(kind: str, name: str, version: str) -> bytes:
    return _cyclonedx(metadata={"component": {"type": kind, "name": name, "version": version}})


def _keep(path: Path, image: str, sbom: document.Sbom, now: float) -> str:
    with closing(connect(path)) as connection:
        return store.keep(connection, image, sbom, now)


_SPDX_IMAGE = {"name": "nginx", "versionInfo": "1.25", "primaryPackagePurpose": "CONTAINER"}


@pytest.mark.parametrize("write", [_cyclonedx, _spdx])
def test_components_by_their_purls(write: Any) -> None:
    found = document.parse(
        write("pkg:npm/%40babel/core@7.1.0?x=1#y", "pkg:deb/debian/zlib1g@1", None, "nonsense")
    )
    assert [(c.ecosystem, c.name, c.version, c.purl) for c in found.components] == [
        ("npm", "@babel/core", "7.1.0", "pkg:npm/%40babel/core@7.1.0"),
        ("deb", "debian/zlib1g", "1", "pkg:deb/debian/zlib1g@1"),
    ]
    assert found.unnamed == 2


def test_components_inside_of_components() -> None:
    inner = {"type": "library", "name": "b", "purl": "pkg:maven/g/b@1"}
    outer = {"type": "library", "name": "a", "purl": "pkg:maven/g/a@1", "components": [inner]}
    found = document.parse(_cyclonedx(components=[outer]))
    assert {c.name for c in found.components} == {"g/a", "g/b"}


@pytest.mark.parametrize(
    ("body", "image"),
    [
        (_of("container", "nginx:1.25", "sha256:ab"), "nginx:1.25"),
        (_of("container", "nginx", "1.25"), "nginx:1.25"),
        (_of("application", "shop", "1"), ""),
        (_cyclonedx(metadata=[]), ""),
        (_spdx(packages=[_SPDX_IMAGE]), "nginx:1.25"),
        (_spdx(), ""),
    ],
)  # fmt: skip
def test_the_image_that_the_document_names(body: bytes, image: str) -> None:
    assert document.parse(body).image == image


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"bomFormat":"CycloneDX","components":[' + b"[]," * 3_000_000 + b"1]}", "values"),
        (b" " * ((32 << 20) + 1), "bytes"),
        (b"<bom/>", "XML"),
        (b"3", "no object"),
        (b"{}", "neither CycloneDX nor SPDX"),
        (b'{"spdxVersion":"SPDX-3.0"}', "neither"),
        (b'{"bomFormat":"CycloneDX","components":' + b"[" + b"{}," * 100_001 + b"{}]}", "components"),
        (b'{"a":' + b"9" * 5000 + b"}", "no JSON"),
    ],
)
def test_what_is_no_sbom_is_refused_with_words(body: bytes, says: str) -> None:
    with pytest.raises(SbomError, match=says) as caught:
        document.parse(body)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    "components",
    [
        None, "x", 3, {"a": 1}, [None, 3, "x", []], [{"purl": 3}], [{"purl": "pkg:"}], [{"purl": "pkg:npm/"}],
        [{"purl": "pkg:npm/\ud800@1"}], [{"purl": "pkg:npm/\ud800\U0001f600@1"}],
        [{"purl": "pkg:npm/" + "a" * 9999}], [{"components": {"x": []}}],
        [{"purl": "pkg:../x@1"}], [{"externalRefs": [{"referenceType": "purl", "referenceLocator": []}]}],
    ],
)  # fmt: skip
def test_odd_components_are_counted_not_kept(components: Any, tmp_path: Path) -> None:
    for body in (_cyclonedx(components=components), _spdx(packages=components)):
        found = document.parse(body)
        assert found.components == ()
        receiver_seed.create(tmp_path / "db").close()
        _keep(tmp_path / "db", "image", found, 1.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pkg:pypi/Flask_Login@1.0", "pkg:pypi/flask-login@1.0"),
        ("pkg:golang/github.com/Azure/x@v1.0", "pkg:golang/github.com/azure/x@1.0?type=module"),
        ("pkg:golang/golang.org/x/crypto@v0.1#ssh", "pkg:golang/golang.org/x/crypto@v0.1"),
        ("pkg:nuget/Newtonsoft.Json@13.0.1", "pkg:nuget/newtonsoft.json@13.0.1"),
        ("pkg:npm/@babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0"),
        ("pkg:npm/@babel/core", "pkg:npm/%40babel/core"),
        ("PKG:npm//a@1", "pkg:npm/a@1"),
    ],
)
def test_the_same_package_however_it_is_written(one: str, other: str) -> None:
    first, second = purl.parse(one), purl.parse(other)
    assert first is not None and second is not None
    assert first.key == second.key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pkg:maven/g/A@1", "pkg:maven/g/a@1"),
        ("pkg:npm/a@1", "pkg:npm/a@2"),
        ("pkg:npm/a@1", "pkg:pypi/a@1"),
        ("pkg:npm/@a/b@1", "pkg:npm/b@1"),
    ],
)
def test_another_package(one: str, other: str) -> None:
    first, second = purl.parse(one), purl.parse(other)
    assert first is not None and second is not None
    assert first.key != second.key


DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("my-app", "docker.io/library/my-app:latest"),
        ("acme/app:2", "docker.io/acme/app:2"),
        ("docker.io/library/nginx:1.25", "docker.io/library/nginx:1.25"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("registry.example:5000/app", "registry.example:5000/app:latest"),
        ("registry.example:5000/team/app:1", "registry.example:5000/team/app:1"),
        (f"nginx:1.25@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        ("no reference at all", "no reference at all"),
    ],
)
def test_image_names_in_one_form(name: str, meant: str) -> None:
    assert normalised(name) == meant
    assert normalised(meant) == meant


def _database(path: Path, image: str | None, digest: str | None) -> list[receiver_seed.Package]:
    known = [receiver_seed.Package(n, "pypi", name, "1.0") for n, name in enumerate("abcd", 1)]
    with closing(receiver_seed.create(path)) as connection:
        for package in known:
            receiver_seed.add_package(connection, package)
        members = [(known[0], "opened", "/a"), (known[1], "bundled", "/b"), (known[2], "mapped", "/c")]
        row = receiver_seed.container(
            1, image_name=image, image_digest=digest, package_set=receiver_seed.add_set(connection, members)
        )
        connection.execute(receiver_seed.INSERT_CONTAINER, row)
    return known


def test_installed_beside_loaded(tmp_path: Path) -> None:
    known = _database(tmp_path / "db", "my-app", None)
    body = _cyclonedx(known[0].purl, known[1].purl, known[3].purl, "pkg:deb/debian/zlib1g@1")
    _keep(tmp_path / "db", "docker.io/library/my-app:latest", document.parse(body), 5.0)
    with reading(tmp_path / "db") as connection:
        found = compare(connection, "my-app")
        assert found is not None
        groups = (found.loaded, found.bundled, found.never_loaded, found.not_in_sbom)
        assert [[p.name for p in group] for group in groups] == [
            ["a"], ["b"], ["d"], ["c"],
        ]  # fmt: skip
        assert (found.components, found.others, found.received_at) == (4, 1, 5.0)
        assert compare(connection, "another") is None


@pytest.mark.parametrize("image", ["registry.example/app:1", None])
def test_an_sbom_of_the_digest_is_the_image_s(tmp_path: Path, image: str | None) -> None:
    digest = "sha256:" + "a" * 64
    known = _database(tmp_path / "db", image, digest)
    _keep(tmp_path / "db", digest, document.parse(_spdx(known[0].purl)), 1.0)
    with reading(tmp_path / "db") as connection:
        found = compare(connection, image or digest)
        assert found is not None and len(found.loaded) == 1


def test_a_later_sbom_replaces_the_one_before(tmp_path: Path) -> None:
    _database(tmp_path / "db", "my-app", None)
    for number in range(3):
        _keep(tmp_path / "db", "my-app", document.parse(_cyclonedx(f"pkg:npm/x@{number}")), 1.0)
    with closing(sqlite3.connect(tmp_path / "db")) as connection:
        assert connection.execute("SELECT purl FROM sbom_component").fetchall() == [("pkg:npm/x@2",)]
        assert connection.execute("SELECT count(*) FROM sbom").fetchone() == (1,)


def test_there_is_an_end_to_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver_seed.create(tmp_path / "db").close()
    monkeypatch.setattr(store, "MOST_SBOMS", 1)
    sbom = document.parse(_cyclonedx("pkg:npm/x@1"))
    _keep(tmp_path / "db", "a", sbom, 1.0)
    _keep(tmp_path / "db", "a", sbom, 2.0)
    with pytest.raises(store.FullError):
        _keep(tmp_path / "db", "b", sbom, 1.0)
