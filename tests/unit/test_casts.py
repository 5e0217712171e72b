"""The calls that BCC cannot make are put into its programs, and into nothing else."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from sensor.node.capture import casts
from sensor.node.capture.programs import RefusedError


class Types:
    """A kernel's types: ``function`` is the number of bpf_rdonly_cast, 0 where the kernel has none."""

    def __init__(self, function: int) -> None:
        self._function = function

    def function(self, name: str) -> int:
        assert name == "bpf_rdonly_cast"
        return self._function

    def structure(self, name: str) -> int:
        return len(name)


def instruction(opcode: int, registers: int, immediate: int) -> bytes:
    return struct.pack("<BBhI", opcode, registers, 0, immediate)


CALL, STAND_IN = 0x85, 0x7E570001
OTHER_CALL = instruction(CALL, 0, 113)
NUMBER_LIKE_IT = instruction(0xB7, 1, STAND_IN)
TYPES: Any = Types(65477)


def test_the_stand_in_becomes_a_call_of_the_kernels_function() -> None:
    program = NUMBER_LIKE_IT + instruction(CALL, 0, STAND_IN) + OTHER_CALL
    assert casts.with_calls(program, TYPES) == NUMBER_LIKE_IT + instruction(CALL, 0x20, 65477) + OTHER_CALL


def test_bytes_across_two_instructions_are_no_call() -> None:
    program = b"\0\0\0\0" + instruction(CALL, 0, STAND_IN) + b"\0\0\0\0"
    assert casts.with_calls(program, TYPES) == program


def test_a_kernel_that_takes_the_trial_gets_direct_loads() -> None:
    tried: list[bytes] = []
    macros = casts.macros(TYPES, tried.append)
    assert (macros["HAVE_CASTS"], macros["CAST_PLACEHOLDER"], macros["TYPE_FILE"]) == (1, STAND_IN, 4)
    assert tried == [casts.trial(TYPES)]
    assert instruction(CALL, 0x20, 65477) in tried[0]


def test_a_kernel_without_the_function_is_not_asked() -> None:
    types: Any = Types(0)
    assert casts.macros(types, lambda _: pytest.fail("tried")) == {}


def test_a_kernel_that_refuses_the_trial_gets_explicit_reads() -> None:
    def refuse(_: bytes) -> None:
        raise RefusedError("no", 22)

    assert casts.macros(TYPES, refuse) == {}
