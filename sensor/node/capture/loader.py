"""The child that compiles, loads and attaches, and leaves. The only module that imports bcc.

Importing bcc maps LLVM, about 75 MB resident and 150 MB after a compile. So the agent runs this as
``python -m sensor.node.capture.loader SOCKET``: a request comes as JSON over the socket, the answer
is JSON with the descriptors attached (``SCM_RIGHTS``). It leaves by ``os._exit``: bcc's own clean-up
would detach the programs. Whatever goes wrong is an answer too, never a traceback.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensor.node.capture import casts, hooks, programs, scratch
from sensor.node.capture.btf import BtfError, KernelTypes
from sensor.node.capture.headers import kernel_version
from sensor.node.capture.hooks import Hook
from sensor.node.capture.landlock import PROLOGUE, hide_proc
from sensor.node.capture.offsets import member_macros
from sensor.node.capture.programs import RAW_TRACEPOINT, RefusedError

# Clang's optimiser: bcc runs one of its own, and what comes out of both the verifier likes less. And debug
# information: programs are loaded without it. Together a quarter of the loader's time.
_SPARED = ("-Xclang", "-disable-llvm-passes", "-g0")
MAPS = ("events", "seen", "losses", "ignored", "counters", "epoch")
MAX_ANSWER = 65536


class _LoadError(Exception):
    def __init__(self, stage: str, text: str, cure: str) -> None:
        super().__init__(text)
        self.answer = {"stage": stage, "error": text, "cure": cure}


def assemble(folder: Path, *names: str) -> str:
    """Return the programs as one text, our own includes put in place once each.

    BCC's rewriter, which turns ``map.lookup`` into a helper call, sees the main file only, so the
    headers must stand in it. ``#line`` keeps the compiler's messages pointing at the real files.
    """
    done: set[str] = set()

    def expand(name: str) -> list[str]:
        if name in done:
            return []
        done.add(name)
        lines = [f'#line 1 "bpf/{name}"']
        for number, line in enumerate((folder / name).read_text().splitlines(), 1):
            include = re.fullmatch(r'#include "([a-z_]+\.h)"', line)
            if include:
                lines += [*expand(include[1]), f'#line {number + 1} "bpf/{name}"']
            else:
                lines.append(line)
        return lines

    return "\n".join(line for name in names for line in expand(name)) + "\n"


def compiler_flags(request: dict[str, Any], types: KernelTypes, machine: str) -> list[str]:
    """Return the ``-D`` flags: offsets of this kernel and the settings of the request."""
    macros = member_macros(types, machine)
    macros["HOST_MOUNT_NAMESPACE"] = int(request["host_mount_namespace"])
    macros["AGENT_TGID"] = int(request["agent_tgid"])
    macros["HEARTBEAT_INODE"] = int(request["heartbeat_inode"])
    macros["RING_PAGES"] = int(request["ring_bytes"]) // os.sysconf("SC_PAGE_SIZE")
    flags = [f"-D{name}={value}" for name, value in macros.items()]
    if request["include_host"]:
        flags.append("-DINCLUDE_HOST")
    if machine == "aarch64":
        flags.append("-DARM64")
    if types.enumerator("bpf_func_id", "BPF_FUNC_get_current_task_btf") is not None:
        flags.append("-DHAVE_TASK_BTF")
    if request["cgroup_controller"]:
        index = types.enumerator("cgroup_subsys_id", f"{request['cgroup_controller']}_cgrp_id")
        if index is not None:
            flags.append(f"-DCGROUP_SUBSYS={index}")
    return flags


def _load(request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    release = ".".join(map(str, kernel_version()))
    try:
        types = KernelTypes(kernel=f"kernel {release}")
        flags = compiler_flags(request, types, os.uname().machine)
    except BtfError as error:
        raise _LoadError("types", str(error), "run on a kernel 5.8 or newer with BTF") from error
    refusals: dict[str, str] = {}
    for hook in hooks.chosen(request["open_hook"]):
        try:
            hooks.trial(hook, types)
            loaded = _load_with(hook, types, Path(request["bpf_folder"]), flags)
        except RefusedError as error:
            refusals[hook.label] = hooks.reason(hook, error)
            _show(error)
            continue
        descriptors = [*loaded.maps, *loaded.programs, *loaded.links]
        answer = {"ok": True, "hook": hook.label, "refusals": refusals, "descriptors": len(descriptors)}
        return answer, descriptors
    raise _no_hook(refusals)


def _no_hook(refusals: dict[str, str]) -> _LoadError:
    text = "; ".join(f"{label}: {why}" for label, why in refusals.items())
    only = "" if len(refusals) > 1 else ", or let the sensor choose: --open-hook auto"
    cure = (
        "grant CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN (`runtime-sensor doctor` names what is missing), "
        f"and no lockdown of the kernel (confidentiality){only}"
    )
    return _LoadError("hook", f"the kernel refused every hook tried: {text}", cure)


@dataclass(frozen=True, slots=True)
class _Loaded:
    maps: tuple[int, ...]  # in the order of MAPS
    programs: tuple[int, int]  # exec, open
    links: tuple[int, int]
    compiled: Any  # bcc's, which closes the maps when it goes


def _load_with(hook: Hook, types: KernelTypes, folder: Path, flags: list[str]) -> _Loaded:
    """Compile, load and attach both programs. Raises ``RefusedError`` when this hook will not do."""
    typed = casts.macros(types, lambda instructions: os.close(hook.load(instructions, types)))
    text = assemble(folder, "exec.c", hook.source)
    compiled = _compile(text, flags + [f"-D{name}={value}" for name, value in typed.items()])

    def instructions(function: str) -> bytes:
        return casts.with_calls(compiled.dump_func(function.encode()), types)

    try:
        execs = programs.load(RAW_TRACEPOINT, "on_exec", instructions("on_exec"))
        exec_link = programs.attach_raw_tracepoint(execs, "sched_process_exec")
    except RefusedError as error:  # no other hook would help
        _show(error)
        raise _LoadError(
            "exec",
            f"the kernel refused {error}",
            "needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN; `runtime-sensor doctor` names what is missing",
        ) from error
    try:
        opens = hook.load(instructions(hook.function), types)
        open_link = hook.attach(opens)
    except RefusedError:
        os.close(exec_link)
        os.close(execs)
        raise
    maps = tuple(compiled[name].map_fd for name in MAPS)
    return _Loaded(maps, (execs, opens), (exec_link, open_link), compiled)


def _compile(text: str, flags: list[str]) -> Any:
    try:
        from bcc import BPF  # noqa: PLC0415 - after BTF and hook, so that common failures cost no LLVM
    except ImportError as error:
        raise _LoadError("bcc", str(error), "install python3-bpfcc of the distribution") from error
    with scratch.header_tree() as headers:
        os.environ["BCC_KERNEL_SOURCE"] = str(headers)
        hide_proc()  # where the kernel has no Landlock all is the same, but slower
        try:
            return BPF(text=PROLOGUE + text, cflags=[*flags, *_SPARED])
        except Exception as error:  # bcc raises bare Exception, its log went to stderr
            raise _LoadError("compile", str(error), _cure(str(error))) from error


def _cure(error: str) -> str:
    """bcc tells the kernel's error by its text alone."""
    if os.strerror(errno.ENOMEM) in error:
        return (
            "raise the container's memory limit, which compiler and maps count against "
            "(sensor.resources.limits.memory in the chart); before Linux 5.11, grant CAP_SYS_RESOURCE"
        )
    return "report this with the lines above"


def _show(error: RefusedError) -> None:
    """Into the log that the agent reads the last lines of."""
    if error.log:
        print(error.log, file=sys.stderr)  # noqa: T201


def main(descriptor: int) -> None:
    """Answer the one request that comes over the socket ``descriptor``; does not return."""
    connection = socket.socket(fileno=descriptor)
    request = json.loads(connection.recv(MAX_ANSWER))
    descriptors: list[int] = []
    try:
        answer, descriptors = _load(request)
    except _LoadError as error:
        answer = {"ok": False, **error.answer}
    except scratch.ScratchError as error:
        answer = {"ok": False, "stage": "headers", "error": str(error), "cure": scratch.CURE}
    except Exception as error:  # noqa: BLE001 - the edge of this process: the agent shows it as one line
        answer = {"ok": False, "stage": "loader", "error": repr(error), "cure": "report this as a defect"}
    sys.stderr.flush()
    socket.send_fds(connection, [json.dumps(answer).encode()], descriptors)
    os._exit(0 if answer["ok"] else 1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
