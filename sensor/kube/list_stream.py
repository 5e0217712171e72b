"""A list of objects, read as it arrives: one object in memory at a time."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from sensor.kube.errors import Malformed
from sensor.kube.nested import decoded

MOST_ITEM = 8 << 20
"""Characters. etcd takes requests of 1.5 MiB; JSON with everything escaped may be some times that."""
_AFTER = frozenset(" \t\r\n,:]}")
_LONGEST_TOKEN = 4096


class ListStream:
    """Iterate over the items once; ``resource_version`` and ``next_page`` are known after that.

    Raises :class:`Malformed` where it is no list of Kubernetes, and what ``read`` raises.
    """

    def __init__(self, read: Callable[[], bytes], *, most: int, most_item: int = MOST_ITEM) -> None:
        """``read`` returns some bytes, none at the end; ``most`` bounds them."""
        self._text = _Text(read, most, most_item)
        self._about: object = None

    def __iter__(self) -> Iterator[object]:
        text = self._text
        text.expect("{")
        while text.next() != "}":
            name = text.value()
            text.expect(":")
            if name == "items" and text.next() == "[":
                yield from self._items()
                found = None
            else:
                found = text.value()
            if name == "metadata":
                self._about = found
            if text.next() == ",":
                text.expect(",")
        if not self.resource_version:
            raise malformed("it has no metadata.resourceVersion")

    @property
    def resource_version(self) -> str:
        return self._metadata("resourceVersion")

    @property
    def next_page(self) -> str:
        """The token for it, empty after the last."""
        return self._metadata("continue")

    def _metadata(self, name: str) -> str:
        found = self._about.get(name) if isinstance(self._about, dict) else None
        fits = isinstance(found, str) and len(found) <= _LONGEST_TOKEN and found.isprintable()
        return str(found) if fits else ""

    def _items(self) -> Iterator[object]:
        text = self._text
        text.expect("[")
        while text.next() != "]":
            yield text.value()
            if text.next() == ",":
                text.expect(",")
        text.expect("]")


class _Text:
    def __init__(self, read: Callable[[], bytes], most: int, most_item: int) -> None:
        self._read = read
        self._most = most
        self._most_item = most_item
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._buffer = ""
        self._at = 0
        self._bytes = 0

    def next(self) -> str:
        """The next character that is no white space."""
        while True:
            while self._at < len(self._buffer):
                if (character := self._buffer[self._at]) not in " \t\r\n":
                    return character
                self._at += 1
            if not self._fill(1):
                raise malformed("it ends in the middle")

    def expect(self, character: str) -> None:
        if self.next() != character:
            raise malformed(f"found {self._buffer[self._at]!r} where {character!r} was expected")
        self._at += 1

    def value(self) -> object:
        self.next()
        while True:
            try:
                found, end = decoded(self._buffer, self._at)
            except ValueError:  # it is cut so far, or no JSON: the rest tells
                pass
            else:
                # A number may go on: "1.5" of "1.5e3" is one too.
                if isinstance(found, (dict, list, str)) or self._buffer[end : end + 1] in _AFTER:
                    self._at = end
                    return found
            # As much again as there is: the work stays linear in the size, however small the pieces come.
            if not self._fill(len(self._buffer) - self._at):
                raise malformed("it is no JSON, or ends in the middle")

    def _fill(self, wanted: int) -> bool:
        """Add at least ``wanted`` bytes if there are any; tell whether something was added."""
        parts = [self._buffer[self._at :]]
        added = 0
        while added < wanted and (chunk := self._read()):
            added += len(chunk)
            parts.append(self._decode.decode(chunk))
        self._bytes += added
        self._buffer, self._at = "".join(parts), 0
        if self._bytes > self._most:
            raise malformed(f"it has more than {self._most:,} bytes")
        if len(self._buffer) > 2 * self._most_item:
            raise malformed(f"one of its items has more than {self._most_item:,} characters")
        return added > 0


def malformed(why: str) -> Malformed:
    return Malformed(
        f"the API server's answer is no list of Kubernetes: {why}; look at the server and proxies between",
        reason="malformed",
    )
