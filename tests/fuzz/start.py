"""Starts a command from a small process, and says how much memory it took: ``start.py FD COMMAND…``.

The peak that wait4(2) and getrusage(2) tell begins with that of the memory which exec(2) replaced: of the
parent, as it stood at the fork. libFuzzer holds its bound against that figure; started by a test runner of
700 MiB it would see its limit broken before the first input.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Write the command's peak (KiB) to FD; end with its status, 128 + N after signal N."""
    told, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(told, False)
    pid = os.posix_spawnp(
        "setpriv",
        ["setpriv", "--pdeathsig", "KILL", "--", *command],
        os.environ,
    )
    _, status, usage = os.wait4(pid, 0)
    os.write(told, b"%d" % usage.ru_maxrss)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
