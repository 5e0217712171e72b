"""A zipped application (PEP 441) with its dependencies inside; two of them are never imported."""

from __future__ import annotations

import attr
import told
import urllib3

assert attr.__file__.startswith("/app/tool.pyz/") and urllib3.PoolManager()


def main() -> None:
    import idna  # on first use

    assert idna.encode("ä.example")
    told.tell()


main()
