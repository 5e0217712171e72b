"""A pex: at its first start it unpacks itself, all of it, and runs anew with what it unpacked."""

from __future__ import annotations

import attr
import told
import urllib3

assert "/installed_wheels/" in attr.__file__ and urllib3.PoolManager()
import idna  # noqa: E402 - tabulate, requests and certifi are never imported

assert idna.encode("ä.example")
told.tell()
