"""Calls of ``bpf_rdonly_cast`` put into compiled programs, so that they load kernel members directly.

The function (Linux 6.2 and later) tells the verifier which struct lies at an address and costs no
instruction; a direct load takes about 1 ns, ``bpf_probe_read_kernel`` 10 to 15. BCC's compiler cannot call
functions of the kernel, which go by the number of their type. So ``bpf/kernel_read.h`` calls a helper that
does not exist, and here the call's eight bytes are replaced: opcode 0x85, source register 2 for a function of
the kernel (https://docs.kernel.org/bpf/standardization/instruction-set.html). Used by the loader child only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from sensor.node.capture.btf import KernelTypes
from sensor.node.capture.programs import RefusedError

_FUNCTION = "bpf_rdonly_cast"
_PLACEHOLDER = 0x7E570001
_CALL, _CALL_OF_KERNEL_FUNCTION = 0x0085, 0x2085

# macro -> struct; two words are read as a struct of two numbers: members that are pointers stay pointers
_TYPES = {
    "TYPE_REGISTERS": "pt_regs",
    "TYPE_FILE": "file",
    "TYPE_INODE": "inode",
    "TYPE_SB": "super_block",
    "TYPE_DENTRY": "dentry",
    "TYPE_WORDS": "timespec64",
}


def macros(types: KernelTypes, load: Callable[[bytes], None]) -> dict[str, int]:
    """Return the macros that have ``bpf/`` load directly, none where the kernel refuses a program that does.

    ``load`` tries to load the instructions given to it and raises ``RefusedError``.
    """
    if not types.function(_FUNCTION):
        return {}
    try:
        numbers = {macro: types.structure(name) for macro, name in _TYPES.items()}
        load(trial(types))
    except RefusedError:  # a kernel without its compiler of programs, bpf_jit_enable=0
        return {}
    return {"HAVE_CASTS": 1, "CAST_PLACEHOLDER": _PLACEHOLDER} | numbers


def with_calls(instructions: bytes, types: KernelTypes) -> bytes:
    """Return a compiled program with the real calls in place of the placeholder's."""
    real = _instruction(_CALL_OF_KERNEL_FUNCTION, types.function(_FUNCTION))
    stand_in = _instruction(_CALL, _PLACEHOLDER)
    pieces = (instructions[at : at + 8] for at in range(0, len(instructions), 8))
    return b"".join(real if piece == stand_in else piece for piece in pieces)


def trial(types: KernelTypes) -> bytes:
    """The least program that casts: ``r1 = 0; r2 = type of a file; call; r0 = 0; exit``."""
    parts = [
        _instruction(0x01B7, 0),
        _instruction(0x02B7, types.structure("file")),
        _instruction(_CALL_OF_KERNEL_FUNCTION, types.function(_FUNCTION)),
        _instruction(0x00B7, 0),
        _instruction(0x0095, 0),
    ]
    return b"".join(parts)


def _instruction(head: int, immediate: int) -> bytes:
    """``head``: opcode, then the registers, of which the lower four bits are the target."""
    return struct.pack("<HhI", head, 0, immediate)
