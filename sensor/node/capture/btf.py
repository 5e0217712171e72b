"""Offsets of kernel struct members from the kernel's own type information (BTF).

Format: https://docs.kernel.org/bpf/btf.html. libbpf parses the file; this module walks the types.
Used by the loader child only, so the parsed types leave with it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

VMLINUX_BTF = Path("/sys/kernel/btf/vmlinux")

_KIND_STRUCT, _KIND_UNION, _KIND_ENUM, _KIND_FUNCTION = 4, 5, 6, 12
_KIND_MODIFIERS = {8, 9, 10, 11, 18}  # typedef, volatile, const, restrict, type tag


class BtfError(Exception):
    """The kernel's types cannot be read, or lack what we need; the text says which and where."""


class _Type(ctypes.Structure):
    _fields_ = (("name", ctypes.c_uint32), ("info", ctypes.c_uint32), ("size_or_type", ctypes.c_uint32))

    @property
    def kind(self) -> int:
        return int(self.info >> 24 & 0x1F)

    @property
    def count(self) -> int:
        return int(self.info & 0xFFFF)

    @property
    def has_bit_sizes(self) -> bool:
        return bool(self.info >> 31)


class _Member(ctypes.Structure):
    _fields_ = (("name", ctypes.c_uint32), ("type", ctypes.c_uint32), ("offset", ctypes.c_uint32))


class _Enumerator(ctypes.Structure):
    _fields_ = (("name", ctypes.c_uint32), ("value", ctypes.c_int32))


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise BtfError(f"libbpf.so.1 cannot be loaded ({error}); install libbpf1") from error
    library.btf__parse.restype = ctypes.c_void_p
    library.btf__parse.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    library.btf__find_by_name_kind.restype = ctypes.c_int32
    library.btf__find_by_name_kind.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32)
    library.btf__type_by_id.restype = ctypes.c_void_p
    library.btf__type_by_id.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.btf__name_by_offset.restype = ctypes.c_char_p
    library.btf__name_by_offset.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    return library


class KernelTypes:
    """The types of one kernel.

    Raises :class:`BtfError` when the file is missing or no BTF.
    """

    def __init__(self, path: Path = VMLINUX_BTF, kernel: str = "") -> None:
        self._kernel = kernel or "this kernel"
        self._library = _library()
        self._btf = self._library.btf__parse(str(path).encode(), None)
        if not self._btf:
            raise BtfError(
                f"no kernel type information: {path} cannot be read on {self._kernel} "
                f"(errno {ctypes.get_errno()}); the sensor needs a kernel built with CONFIG_DEBUG_INFO_BTF"
            )

    def offset(self, struct: str, *members: str) -> int:
        """Return the offset in bytes of a member, found inside anonymous structs and unions too.

        Several ``members`` are names the member has had in different kernels; the first that
        exists counts. Raises :class:`BtfError` naming struct, member and kernel.
        """
        offset = self.find(struct, *members)
        if offset is not None:
            return offset
        raise BtfError(
            f"struct {struct} has no member {' or '.join(members)} on {self._kernel}; "
            "this kernel is newer or patched: report it with the output of `runtime-sensor doctor --json`"
        )

    def find(self, struct: str, *members: str) -> int | None:
        """Like :meth:`offset`, but ``None`` when no member exists."""
        identifier = self._struct(struct)
        found = (self._find(identifier, member) for member in members)
        return next((bits // 8 for bits in found if bits is not None), None)

    def enumerator(self, enum: str, name: str) -> int | None:
        """Return the value of one name of an enum, ``None`` when the kernel has not got it."""
        identifier = self._library.btf__find_by_name_kind(self._btf, enum.encode(), _KIND_ENUM)
        if identifier < 0:
            return None
        address, record = self._type(identifier)
        entries = (_Enumerator * record.count).from_address(address + ctypes.sizeof(_Type))
        return next((entry.value for entry in entries if self._name(entry.name) == name), None)

    def function(self, name: str) -> int:
        """Return the type id of a kernel function, 0 when it has none (inlined, or not built in)."""
        return max(0, int(self._library.btf__find_by_name_kind(self._btf, name.encode(), _KIND_FUNCTION)))

    def structure(self, name: str) -> int:
        """Return the type id of a struct. Raises :class:`BtfError` when the kernel has not got it."""
        return self._struct(name)

    def _struct(self, name: str) -> int:
        identifier = int(self._library.btf__find_by_name_kind(self._btf, name.encode(), _KIND_STRUCT))
        if identifier < 0:
            raise BtfError(f"struct {name} does not exist on {self._kernel}")
        return identifier

    def _type(self, identifier: int) -> tuple[int, _Type]:
        address = self._library.btf__type_by_id(self._btf, identifier)
        if not address:
            raise BtfError(f"type {identifier} is missing from the kernel type information")
        return address, _Type.from_address(address)

    def _name(self, offset: int) -> str:
        return str((self._library.btf__name_by_offset(self._btf, offset) or b"").decode("ascii", "replace"))

    def _find(self, identifier: int, member: str) -> int | None:
        address, record = self._type(identifier)
        while record.kind in _KIND_MODIFIERS:
            address, record = self._type(record.size_or_type)
        if record.kind not in (_KIND_STRUCT, _KIND_UNION):
            return None
        entries = (_Member * record.count).from_address(address + ctypes.sizeof(_Type))
        for entry in entries:
            bits = entry.offset & 0xFFFFFF if record.has_bit_sizes else entry.offset
            name = self._name(entry.name)
            if name == member:
                return int(bits)
            if not name:
                inside = self._find(entry.type, member)
                if inside is not None:
                    return int(bits) + inside
        return None
