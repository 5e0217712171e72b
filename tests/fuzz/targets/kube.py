"""What an API server, or something in its place, answers; names of images; filters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

import urllib3

from sensor.config.filters import filters
from sensor.config.texts import SettingsError
from sensor.kube.access import Access
from sensor.kube.api_server import ApiServer
from sensor.kube.body import Body
from sensor.kube.errors import KubeError, Malformed
from sensor.kube.explain import Asked, answer_failed
from sensor.kube.list_stream import ListStream
from sensor.kube.nested import MOST_LEVELS, document
from sensor.kube.pod_store import PodStore
from sensor.kube.pod_watch import PODS_RULE, PodWatch
from sensor.kube.pods import MOST_CONTAINERS, MOST_LABELS, pod
from sensor.kube.resource import Resource
from sensor.model.container import ContainerMetadata, Workload
from sensor.model.image_reference import ImageReference, digest_of, image, image_name
from sensor.model.pod import Pod
from sensor.node.filter import Verdict, verdict
from tests.fuzz.target import Target

_ROOM = "sensor.kube"
_SECRET = "Bearer s3cret.of-a-test"
_MOST = 1 << 20
_MOST_NAME = 1024


def _pod(data: bytes) -> None:
    try:
        found = document(data)
    except ValueError:
        return
    dropped: Counter[str] = Counter()
    known = pod(found, dropped)
    assert set(dropped) <= {"pod", "container", "label", "owner"}
    assert (known is None) == (dropped["pod"] == 1)
    if known is not None:
        _is_sane(known)


def _is_sane(known: Pod) -> None:
    texts = [known.uid, known.namespace, known.name, known.node, known.static_uid, *known.labels]
    texts += known.labels.values()
    if known.owner is not None:
        owner = known.owner
        texts += [owner.api_version, owner.kind, owner.name, owner.uid]
        Resource("apps", "v1", "replicasets").path(known.namespace, owner.name)
    for one in known.containers:
        texts += [one.name, one.id, one.runtime, one.image.name, one.image.digest]
    for text in texts:
        _is_text(text)
    assert len(known.labels) <= MOST_LABELS and len(known.containers) <= MOST_CONTAINERS


def _is_text(text: str | None) -> None:
    """As it goes into JSON, protobuf, SQLite and the log."""
    if text is not None:
        text.encode()
        assert text.isprintable() and len(text) <= _MOST_NAME


def _says_why(error: Exception) -> None:
    assert str(error).isprintable()
    assert "look at" in str(error) or "expected" in str(error) or isinstance(error, KubeError)


def _pieces(data: bytes, size: int) -> Callable[[], bytes]:
    parts = iter([data[at : at + size] for at in range(0, len(data), size)])
    return lambda: next(parts, b"")


def _listed(data: bytes, size: int) -> tuple[str, str, str] | None:
    """Items, version and token; ``None`` where it is no list."""
    stream = ListStream(_pieces(data, size), most=_MOST, most_item=_MOST)
    try:
        items = list(stream)
    except Malformed as error:
        _says_why(error)
        return None
    for item in items:
        pod(item)
    return repr(items), stream.resource_version, stream.next_page


def _list(data: bytes) -> None:
    """The first byte is the size of the pieces: the answer is the same however it comes."""
    if not data:
        return
    data, size = data[1:], data[0] + 1
    found = _listed(data, size)
    assert found == _listed(data, max(1, len(data)))
    try:
        whole = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return
    names = Counter(name for name, _ in json.JSONDecoder(object_pairs_hook=list).decode(_text(data)) or ())
    is_plain = isinstance(whole, dict) and isinstance(whole.get("items"), list) and set(names.values()) == {1}
    if is_plain and found is not None and _levels(whole) < MOST_LEVELS:
        assert found[0] == repr(whole["items"])


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text if text.lstrip(" \t\r\n").startswith("{") else "{}"


def _levels(found: object) -> int:
    within: Any = found.values() if isinstance(found, dict) else found if isinstance(found, list) else None
    return 0 if within is None else 1 + max(map(_levels, within), default=0)


def _nested(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        found = document(data)
    except ValueError:
        found = ValueError
    try:
        expected = json.loads(text)
    except ValueError:
        expected = ValueError
    except RecursionError:
        return
    assert repr(found) == repr(expected)


class _Nowhere:
    def current(self, *, refused: bool = False) -> Access:
        raise AssertionError


class _Answer:
    """What urllib3 gives, of which the first byte is the size of the pieces, odd ones of gzip."""

    def __init__(self, data: bytes) -> None:
        self._read = _pieces(data[1:], data[0] + 1 if data else 1)
        self.headers = {"Content-Encoding": "gzip"} if data[:1] and data[0] % 2 else {}

    def read1(self, _: int, *, decode_content: bool) -> bytes:
        assert not decode_content
        return self._read()


def _failed(error: BaseException) -> NoReturn:
    raise error


def _body(data: bytes) -> Body:
    return Body(cast(urllib3.BaseHTTPResponse, _Answer(data)), _failed, lambda _: None)


def _lines(body: Body) -> Iterator[bytes]:
    read = 0
    for line in body.lines(1 << 12, lambda: None):
        assert len(line) <= 1 << 12
        yield line
        if (read := read + len(line)) > _MOST:
            return


def _watch(data: bytes) -> None:
    api = ApiServer(_Nowhere(), "fuzz")
    store = PodStore(8)
    watch = PodWatch(api, store, "node")
    try:
        for line in _lines(_body(data)):
            watch._apply(line)
    except KubeError as error:
        _says_why(error)
    watch._version.encode()
    assert len(watch._version) <= 64 and len(store) <= 8
    for known in store.pods():
        _is_sane(known.pod)
        found = store.by_uid(known.pod.uid)
        assert found is not None and found.pod == known.pod


def _refusal(data: bytes) -> None:
    """Two bytes of status, a line of Retry-After, the body."""
    after, _, body = data[2:].partition(b"\n")
    headers = {"Retry-After": after.decode("latin-1")}
    error = answer_failed(int.from_bytes(data[:2]), headers, body, Asked("what", PODS_RULE, _SECRET))
    assert str(error).isprintable() and len(str(error)) < 1000
    assert _SECRET not in str(error) and _SECRET.split()[1] not in str(error)
    assert len(error.reason) <= 20


def _image(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    _is_text(image_name(text))
    found = ImageReference.parse(text)
    if found is not None:
        _is_text(found.name)
        again = ImageReference.parse(found.name)
        if found.domain:  # else the first component stays what no registry is called
            assert again is not None and again.name == found.name, (found, again)
        assert found.digest == digest_of(text)
    name, *digests = text.split("\n")
    known = image(name, digests)
    _is_text(known.name)
    assert known.digest is None or digest_of(f"@{known.digest}") == known.digest


def _filters(data: bytes) -> None:
    """Three lines of filters, then a namespace, a kind, a label."""
    lines = [*data.decode("utf-8", "replace").split("\n", 5), "", "", "", "", "", ""]
    variables = ("FILTER_NAMESPACES", "FILTER_WORKLOAD_TYPES", "FILTER_POD_LABELS")
    try:
        found = filters({}, dict(zip(variables, lines, strict=False)))
    except SettingsError as error:
        _says_why(error)
        return
    key, _, value = lines[5].partition("=")
    known = ContainerMetadata(
        namespace=lines[3], workload=Workload(lines[4], "web"), pod_labels={key: value} if key else {}
    )
    assert verdict(found, known, settled=False) == verdict(found, known, settled=True) != Verdict.UNKNOWN
    assert (verdict(found, ContainerMetadata(), settled=True) is Verdict.IN) == (not found)


TARGETS: tuple[Target, ...] = (
    Target("kube_pod", _ROOM, _pod),
    Target("kube_list", _ROOM, _list),
    Target("kube_nested", _ROOM, _nested),
    Target("kube_watch", _ROOM, _watch),
    Target("kube_refusal", _ROOM, _refusal),
    Target("image_reference", "sensor.model.image_reference", _image),
    Target("filters", "sensor.config.filters", _filters),
)
