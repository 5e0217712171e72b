"""The headers of a PE file, as far as they lead to CLI metadata and to the version resource.

Microsoft's PE format specification ("Microsoft Portable Executable and Common Object File Format"), and
ECMA-335 II.25 for the CLI header. ReadyToRun and mixed-mode images are PE files with the same headers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sensor.node.resolve.dotnet.window import BadImage, Window

_DOS_SIZE = 0x40
_NEW_HEADER = struct.Struct("<60xI")
_COFF = struct.Struct("<IHHIIIHH")
_DIRECTORY = struct.Struct("<II")
_SECTION = struct.Struct("<8xIIII16x")
_CLI = struct.Struct("<IHHIIII")  # II.25.3.3, as far as the entry point
# Where the data directories start in the optional header, by its magic: PE32, PE32+.
_DIRECTORIES_AT = {0x10B: 96, 0x20B: 112}
_RESOURCES, _CLI_HEADER = 2, 14
_SECTIONS = 96  # what the Windows loader takes; the runtime's images have a handful
_NATIVE_ENTRY_POINT = 0x10  # COMIMAGE_FLAGS_NATIVE_ENTRYPOINT


class NotPortableExecutable(BadImage):
    """No PE file at all: no runtime would load it either."""


@dataclass(frozen=True, slots=True)
class PortableExecutable:
    """``metadata`` is None for a file without CLI header. ``runnable``: it has a managed entry point."""

    metadata: Window | None
    resources: Window | None
    runnable: bool
    image: _Image


@dataclass(frozen=True, slots=True)
class _Image:
    window: Window
    sections: tuple[tuple[int, int, int], ...]  # address, bytes in the file, offset

    def part(self, address: int, length: int) -> Window:
        """Return what lies at a relative virtual address. Raises BadImage when it is in no section."""
        for start, size, offset in self.sections:
            if start <= address and address + length <= start + size:
                return self.window.part(offset + address - start, length)
        raise BadImage(f"{length} bytes at address {address:#x} are in no section")


def read_headers(window: Window) -> PortableExecutable:
    """Raises BadImage (NotPortableExecutable where the magic numbers lack), and OSError."""
    if window.size < _DOS_SIZE or window.at(0, 2) != b"MZ":
        raise NotPortableExecutable("no MZ")
    (header,) = window.unpack(0, _NEW_HEADER)
    if window.upto(header, 4) != b"PE\0\0" if header < window.size else True:
        raise NotPortableExecutable("no PE signature")
    _, _, count, _, _, _, optional_size, _ = window.unpack(header, _COFF)
    optional = window.at(header + _COFF.size, optional_size)
    if count > _SECTIONS:
        raise BadImage(f"{count} sections")
    table = window.at(header + _COFF.size + optional_size, count * _SECTION.size)
    sections = tuple((address, size, offset) for _, address, size, offset in _SECTION.iter_unpack(table))
    image = _Image(window, sections)
    resources = _directory(optional, _RESOURCES)
    metadata, runnable = _managed(image, _directory(optional, _CLI_HEADER))
    return PortableExecutable(metadata, _optional(image, resources), runnable, image)


def _optional(image: _Image, directory: tuple[int, int] | None) -> Window | None:
    try:
        return image.part(*directory) if directory is not None else None
    except BadImage:
        return None  # no runtime looks there


def _directory(optional: bytes, index: int) -> tuple[int, int] | None:
    """Address and size of a data directory, None where there is none."""
    start = _DIRECTORIES_AT.get(int.from_bytes(optional[:2], "little"))
    if start is None or len(optional) < start:
        raise BadImage("an optional header of an unknown kind")
    count = int.from_bytes(optional[start - 4 : start], "little")
    place = start + index * _DIRECTORY.size
    if index >= count or place + _DIRECTORY.size > len(optional):
        return None
    address, size = _DIRECTORY.unpack_from(optional, place)
    return (address, size) if address and size else None


def _managed(image: _Image, directory: tuple[int, int] | None) -> tuple[Window | None, bool]:
    if directory is None:
        return None, False
    # The size of the directory is not believed: linkers write 72, some write 0x48 or less.
    header = image.part(directory[0], _CLI.size)
    _, _, _, address, size, flags, entry = header.unpack(0, _CLI)
    return image.part(address, size), bool(entry) and not flags & _NATIVE_ENTRY_POINT
