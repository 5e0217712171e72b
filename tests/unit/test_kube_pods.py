"""A pod's JSON, as the API server writes it and as nobody should."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import Any

import pytest

from sensor.kube.pods import MOST_CONTAINERS, MOST_LABELS, pod
from sensor.model.container import Image
from sensor.model.pod import OwnerReference, Pod
from tests.unit.kube_server import owned, pod_json

DIGEST = f"sha256:{'a' * 64}"
STATUS = "status__containerStatuses"


def parsed(**changes: Any) -> Pod:
    found = pod(pod_json("web", **changes))
    assert found is not None
    return found


def test_keeps_what_is_used() -> None:
    found = parsed(metadata__ownerReferences=[owned("ReplicaSet", "web-5d", "u-1")])
    assert (found.uid, found.namespace, found.name, found.node) == ("uid-web", "shop", "web", "node-1")
    assert found.labels == {"app": "orders"}
    assert found.owner == OwnerReference("apps/v1", "ReplicaSet", "web-5d", "u-1")
    assert not found.is_mirror and not found.is_ended and found.static_uid is None
    (container,) = found.containers
    assert container.name == "app" and container.image == Image("acme/orders:1", DIGEST)
    assert (container.id, container.runtime) == ("uid-web", "containerd")
    assert container.is_running and container.started_at == 1769860800.0


def test_init_sidecar_and_ephemeral_containers() -> None:
    def status(name: str, state: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "containerID": f"cri-o://id-{name}", "imageID": f"r@{DIGEST}", "state": state}

    found = parsed(
        spec__initContainers=[
            {"name": "migrate", "image": "m"},
            {"name": "proxy", "image": "p", "restartPolicy": "Always"},
        ],
        spec__ephemeralContainers=[{"name": "debugger", "image": "d"}],
        status__initContainerStatuses=[
            status("proxy", {"running": {"startedAt": "2026-01-31T12:00:00Z"}}),
            status("migrate", {"terminated": {"startedAt": "2026-01-31T11:00:00Z", "exitCode": 0}}),
        ],
        status__ephemeralContainerStatuses=[status("debugger", {"waiting": {}})],
    )
    told = [(one.name, one.id, one.image.name, one.is_running, one.started_at) for one in found.containers]
    assert told == [
        ("app", "uid-web", "acme/orders:1", True, 1769860800.0),
        ("migrate", "id-migrate", "m", False, 1769857200.0),
        ("proxy", "id-proxy", "p", True, 1769860800.0),
        ("debugger", "id-debugger", "d", False, None),
    ]


def test_a_mirror_pod_has_the_uid_of_its_static_pod() -> None:
    annotations = {"kubernetes.io/config.mirror": "b5f1", "kubernetes.io/config.hash": "b5f1"}
    found = parsed(metadata__annotations=annotations)
    assert found.is_mirror and found.static_uid == "b5f1"
    assert parsed(metadata__annotations={"kubernetes.io/config.hash": "b5f1"}).static_uid is None


def test_the_controller_alone_is_the_owner() -> None:
    others = [owned("A", "a", "1", controller=False), owned("B", "b", "2"), owned("C", "c", "3")]
    owner = parsed(metadata__ownerReferences=others).owner
    assert owner is not None and owner.kind == "B"
    assert parsed(metadata__ownerReferences=others[:1]).owner is None


@pytest.mark.parametrize(("phase", "ended"), [("Pending", False), ("Succeeded", True), ("Failed", True)])
def test_ended(phase: str, *, ended: bool) -> None:
    assert parsed(status__phase=phase).is_ended is ended


@pytest.mark.parametrize(
    ("image_id", "digest"),
    [
        (f"docker-pullable://repo/x@{DIGEST}", DIGEST),
        (f"docker.io/library/x@{DIGEST}", DIGEST),
        (f"host:5000/a/b@{DIGEST}", DIGEST),
        (f"x@sha512:{'b' * 128}", f"sha512:{'b' * 128}"),
        (DIGEST, None),  # the image's configuration
        (f"docker://{DIGEST}", None),
        ("a" * 64, None),
        (f"x@{DIGEST}0", None),
        (f"x@sha256:{'A' * 64}", None),
        ("", None),
        ({"a": 1}, None),
    ],
)
def test_digests(image_id: object, digest: str | None) -> None:
    status = [{"name": "app", "imageID": image_id}]
    assert parsed(**{STATUS: status}).containers[0].image.digest == digest


@pytest.mark.parametrize(
    ("container_id", "expected"),
    [
        ("containerd://3f", ("containerd", "3f")),
        ("cri-o://3f", ("cri-o", "3f")),
        ("docker://3f", ("docker", "3f")),
        ("", (None, None)),
        ("3f", (None, None)),
        ("containerd://", (None, None)),
        ("containerd://../../x", (None, None)),
        (f"containerd://{'3' * 200}", (None, None)),
        (7, (None, None)),
        (None, (None, None)),
    ],
)
def test_container_ids(container_id: object, expected: tuple[str | None, str | None]) -> None:
    (container,) = parsed(**{STATUS: [{"name": "app", "containerID": container_id}]}).containers
    assert (container.runtime, container.id) == expected


@pytest.mark.parametrize(
    "written", ["", "now", "2026-13-40T00:00:00Z", "9999999-01-01T00:00:00Z", 7, None, "0000-01-01T00:00:00Z"]
)
def test_times_that_are_none(written: object) -> None:
    state = {"running": {"startedAt": written}}
    (container,) = parsed(**{STATUS: [{"name": "app", "state": state}]}).containers
    assert container.is_running and container.started_at is None


def test_labels_are_bounded() -> None:
    dropped: Counter[str] = Counter()
    labels: dict[Any, Any] = {f"name-{number}": "x" for number in range(MOST_LABELS - 1)}
    labels |= {"": "x", "long": "x" * 64, "n" * 400: "x", "typed": 7, "line": "a\nb", "last": "", "more": "x"}
    found = pod(pod_json("web", metadata__labels=labels), dropped)
    assert found is not None and len(found.labels) == MOST_LABELS and found.labels["last"] == ""
    assert dropped["label"] == 6


def test_containers_are_bounded() -> None:
    dropped: Counter[str] = Counter()
    listed = [{"name": f"c-{number}"} for number in range(MOST_CONTAINERS + 5)]
    found = pod(pod_json("web", spec__containers=listed), dropped)
    assert found is not None and len(found.containers) == MOST_CONTAINERS and dropped["container"] == 5


@pytest.mark.parametrize("missing", ["uid", "name", "namespace"])
@pytest.mark.parametrize("value", [None, 7, "", "x" * 300, "a\nb", ["x"]])
def test_without_its_identity_it_is_no_pod(missing: str, value: object) -> None:
    dropped: Counter[str] = Counter()
    changes: dict[str, Any] = {f"metadata__{missing}": value}
    assert pod(pod_json("web", **changes), dropped) is None
    assert dropped["pod"] == 1


HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308),
    *("", "x" * 5000, "\x00\ud800"),
    *([], [[]], [None, 7, "x", {}]),
    *({}, {"": {}}, {"a": []}),
)


def places(document: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [before]
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in items if isinstance(document, (dict, list)) else ():
        found += places(value, (*before, name)) if isinstance(value, (dict, list)) else [(*before, name)]
    return found


def whole() -> dict[str, Any]:
    return pod_json(
        "web",
        metadata__ownerReferences=[owned("Job", "j", "u")],
        metadata__annotations={"kubernetes.io/config.mirror": "a", "kubernetes.io/config.hash": "b"},
        spec__initContainers=[{"name": "i", "image": "i"}],
        status__initContainerStatuses=[{"name": "i", "state": {"terminated": {"startedAt": "x"}}}],
    )


@pytest.mark.parametrize("place", places(whole()), ids=lambda place: ".".join(map(str, place)) or "all")
def test_any_value_may_be_anything(place: tuple[Any, ...]) -> None:
    for value in HOSTILE:
        document: Any = whole()
        if not place:
            pod(value)
            continue
        parent = document
        for name in place[:-1]:
            parent = parent[name]
        parent[place[-1]] = value
        found = pod(document)
        assert found is None or bounded(found)


def test_any_two_values_may_be_anything() -> None:
    chance = random.Random(4)
    every = [place for place in places(whole()) if place]
    for _ in range(2000):
        document: Any = whole()
        for place in chance.sample(every, 2):
            parent = document
            try:
                for name in place[:-1]:
                    parent = parent[name]
                parent[place[-1]] = copy.deepcopy(chance.choice(HOSTILE))
            except (TypeError, LookupError):
                continue  # the other one is above it
        found = pod(json.loads(json.dumps(document)))
        assert found is None or bounded(found)


def bounded(found: Pod) -> bool:
    hash((found.uid, found.namespace, found.name, found.node, found.owner, found.containers))
    texts = [found.uid, found.namespace, found.name, found.node or "", found.static_uid or ""]
    texts += [*found.labels, *found.labels.values()]
    for one in found.containers:
        texts += [one.name, one.id or "", one.runtime or "", one.image.digest or ""]
        assert len(one.image.name or "") <= 1024
    return all(len(text) <= 400 and text.isprintable() for text in texts)


def test_is_pure() -> None:
    document = whole()
    before = json.dumps(document)
    assert pod(document) == pod(document)
    assert json.dumps(document) == before
