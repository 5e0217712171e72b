"""The child that compiles, loads and attaches, and leaves. The only module that imports bcc.

Importing bcc maps LLVM, about 75 MB resident and 150 MB after a compile. So the agent runs this as
``python -m sensor.node.capture.loader SOCKET``: a request comes as JSON over the socket, the answer
is JSON with the descriptors attached (``SCM_RIGHTS``). It leaves by ``os._exit``: bcc's own clean-up
would detach the programs. Whatever goes wrong is an answer too, never a traceback.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from sensor.node.capture.btf import BtfError, KernelTypes
from sensor.node.capture.headers import kernel_version, write_header_tree
from sensor.node.capture.offsets import member_macros

MAPS = ("events", "seen", "losses", "ignored", "counters")
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
    try:
        from bcc import BPF  # noqa: PLC0415 - after BTF, so that the common failure costs no LLVM
    except ImportError as error:
        raise _LoadError("bcc", str(error), "install python3-bpfcc of the distribution") from error
    with tempfile.TemporaryDirectory(prefix="runtime-sensor-") as headers:
        write_header_tree(Path(headers))
        os.environ["BCC_KERNEL_SOURCE"] = headers
        text = assemble(Path(request["bpf_folder"]), "exec.c", "open_sys_exit.c")
        try:
            programs = BPF(text=text, cflags=flags)
        except Exception as error:  # bcc raises bare Exception, its log went to stderr
            raise _LoadError("compile", str(error), "report this with the lines above") from error
        links = [
            _attach(programs, "on_exec", "sched_process_exec"),
            _attach(programs, "on_sys_exit", "sys_exit"),
        ]
    descriptors = [programs[name].map_fd for name in MAPS] + links
    return {"ok": True, "hook": "raw_tracepoint", "descriptors": len(descriptors)}, descriptors


def _attach(programs: Any, function: str, tracepoint: str) -> int:
    from bcc import BPF  # noqa: PLC0415 - see _load

    try:
        programs.load_func(function, BPF.RAW_TRACEPOINT)
    except Exception as error:  # bcc raises bare Exception
        cure = (
            "needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN; `runtime-sensor doctor` names what is missing"
        )
        raise _LoadError("verify", f"the kernel refused program {function}: {error}", cure) from error
    try:
        programs.attach_raw_tracepoint(tp=tracepoint.encode(), fn_name=function.encode())
    except Exception as error:  # bcc raises bare Exception
        cure = "needs CAP_PERFMON or CAP_SYS_ADMIN, and no lockdown of the kernel (confidentiality)"
        raise _LoadError("attach", f"tracepoint {tracepoint}: {error}", cure) from error
    return int(programs.raw_tracepoint_fds[tracepoint.encode()])


def main(descriptor: int) -> None:
    """Answer the one request that comes over the socket ``descriptor``; does not return."""
    connection = socket.socket(fileno=descriptor)
    request = json.loads(connection.recv(MAX_ANSWER))
    descriptors: list[int] = []
    try:
        answer, descriptors = _load(request)
    except _LoadError as error:
        answer = {"ok": False, **error.answer}
    except Exception as error:  # noqa: BLE001 - the edge of this process: the agent shows it as one line
        answer = {"ok": False, "stage": "loader", "error": repr(error), "cure": "report this as a defect"}
    sys.stderr.flush()
    socket.send_fds(connection, [json.dumps(answer).encode()], descriptors)
    os._exit(0 if answer["ok"] else 1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
