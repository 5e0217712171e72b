"""A virtual environment that shows the system's packages, and has its own version of one of them.

Of Debian's packages some name their modules nowhere in their metadata (python_apt: apt, apt_pkg).
"""

from __future__ import annotations

import contextlib
import importlib

import netaddr
import simplejson
import told

assert netaddr.__file__.startswith("/app/venv/") and simplejson.dumps({}) == "{}"
# What the machine has of these; the truth is asked of the process, so it may have any.
for name in ("bcc", "apt", "apt_pkg", "yaml", "cryptography.fernet", "jwt", "lazr.uri", "gi", "dbus"):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
told.tell()
