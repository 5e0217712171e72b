"""A list, however its bytes come."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sensor.kube.errors import Malformed
from sensor.kube.list_stream import ListStream

DOCUMENT = {
    "kind": "PodList",
    "metadata": {"resourceVersion": "12", "continue": "é", "remainingItemCount": 3},
    "items": [{"name": "ü\U0001f600"}, 17, -1.5e3, None, "[{,", [], {"a": {"b": ["]"]}}],
    "more": 1234,
}


def read_from(data: bytes, size: int) -> Callable[[], bytes]:
    parts = iter([data[start : start + size] for start in range(0, len(data), size)])
    return lambda: next(parts, b"")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("is_last", [False, True])
def test_in_pieces_of_any_size(size: int, indent: int | None, *, is_last: bool) -> None:
    document = dict(DOCUMENT)
    if is_last:
        document["metadata"] = document.pop("metadata")
    data = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    stream = ListStream(read_from(data, size), most=10_000)
    assert list(stream) == DOCUMENT["items"]
    assert (stream.resource_version, stream.next_page) == ("12", "é")


@pytest.mark.parametrize("end", range(1, len(json.dumps(DOCUMENT))))
def test_cut_anywhere_it_is_said(end: int) -> None:
    stream = ListStream(read_from(json.dumps(DOCUMENT).encode()[:end], 64), most=10_000)
    with pytest.raises(Malformed, match="ends in the middle"):
        list(stream)


def test_no_items_at_all() -> None:
    assert list(ListStream(read_from(b'{"items":null,"metadata":{"resourceVersion":"1"}}', 9), most=99)) == []


def test_too_many_bytes() -> None:
    data = b'{"items":[' + b"1," * 100_000
    with pytest.raises(Malformed, match="more than 50,000 bytes"):
        list(ListStream(read_from(data, 1000), most=50_000))


@pytest.mark.parametrize("what", [b'{"items":["', b'{"items":[', b'{"metadata":"', b'{"'])
def test_too_large_an_item_is_not_gathered(what: bytes) -> None:
    taken = 0

    def read() -> bytes:
        nonlocal taken
        taken += 1000
        return what if taken == 1000 else b"x" * 1000 if what.endswith(b'"') else b"[" * 1000

    with pytest.raises(Malformed, match=r"its items has more|nested"):
        list(ListStream(read, most=1 << 30, most_item=10_000))
    assert taken < 50_000
