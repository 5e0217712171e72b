"""The Go version and the module information that the linker leaves in every Go program.

Format: Go's src/debug/buildinfo/buildinfo.go. A blob of 32 bytes, aligned to 16, in a section of its own
or in the writable data: magic, size of a pointer, flags. Up to Go 1.17 two pointers to strings follow,
since 1.18 (flag 2) the strings themselves, each after its length as a varint.
"""

from __future__ import annotations

from dataclasses import dataclass

from sensor.node.resolve.go.image import BadGo, Image, NotGo, Span, search, word

MAGIC = b"\xff Go buildinf:"
SECTION = b".go.buildinfo"

_ALIGNMENT = 16
_HEADER = 32
_BIG_ENDIAN, _INLINE = 1, 2  # flags
_SEARCHED = 64 << 20  # bytes of writable data; the linker puts it at the beginning
_VERSION_BYTES = 1 << 10
_MODULES_BYTES = 1 << 20  # Kubernetes' kubelet has 20 KiB
_SENTINEL = 16  # bytes before and after the module information, by which it is found in a core


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """``version`` as the toolchain calls itself (``go1.22.1``); ``modules`` is empty without modules."""

    version: str
    modules: str


def read_build_info(image: Image) -> BuildInfo:
    """Return what the linker left. Raises NotGo where there is none, BadGo, and what a read raises."""
    address = _find(image)
    header = image.read(address, _HEADER)
    if len(header) < _HEADER:
        raise BadGo("build information is cut")
    if header[15] & _INLINE:
        version, after = _inline(image, address + _HEADER, _VERSION_BYTES)
        modules, _ = _inline(image, after, _MODULES_BYTES)
    else:
        size = header[14]
        if size not in (4, 8) or (header[15] & _BIG_ENDIAN == 1) != (image.order == ">"):
            raise BadGo(f"build information with pointers of {size} bytes, flags {header[15]}")
        version = _pointed(image, word(image, address + 16, size), size, _VERSION_BYTES)
        modules = _pointed(image, word(image, address + 16 + size, size), size, _MODULES_BYTES)
    return BuildInfo(version.decode("utf-8", "replace"), _unwrap(modules).decode("utf-8", "replace"))


def _find(image: Image) -> int:
    section = image.section(SECTION)
    left = _SEARCHED
    for span in (section,) if section else image.data:
        for address in search(image, Span(span.address, min(span.size, left)), MAGIC):
            if address % _ALIGNMENT == 0:
                return address
        left -= min(span.size, left)
    raise NotGo("no build information")


def _inline(image: Image, address: int, limit: int) -> tuple[bytes, int]:
    """Return the string at ``address`` and what follows it."""
    prefix = image.read(address, 10)
    size = 0
    for position, byte in enumerate(prefix):
        size |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            start = address + position + 1
            return _text(image, start, size, limit), start + size
    raise BadGo("the length of a string never ends")


def _pointed(image: Image, header: int, size: int, limit: int) -> bytes:
    """Return the string whose header (pointer, length) is at ``header``; without one it is empty."""
    if header == 0:
        return b""
    start, length = word(image, header, size), word(image, header + size, size)
    return _text(image, start, length, limit) if length else b""


def _text(image: Image, address: int, size: int, limit: int) -> bytes:
    if size > limit:
        raise BadGo(f"a string of {size} bytes, at most {limit} are read")
    content = image.read(address, size)
    if len(content) < size:
        raise BadGo(f"{len(content)} of {size} bytes of a string")
    return content


def _unwrap(modules: bytes) -> bytes:
    """Drop the sentinels; as runtime/debug.ReadBuildInfo, nothing is module information without them."""
    if len(modules) < 2 * _SENTINEL + 1 or modules[-_SENTINEL - 1 : -_SENTINEL] != b"\n":
        return b""
    return modules[_SENTINEL:-_SENTINEL]
