"""A certificate authority of a test, and certificates by it, good and bad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trustme

HOST = "127.0.0.1"


class Authority:
    """``bundle`` is the PEM file with which it is trusted."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.bundle = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(self.bundle))

    def certificate(self, *names: str, **dates: Any) -> trustme.LeafCert:
        return self._ca.issue_cert(*(names or (HOST, "localhost")), **dates)

    def files(self, folder: Path, *names: str, **dates: Any) -> tuple[Path, Path]:
        """Write the PEM files of a certificate for ``names`` and of its key; return both. ``dates`` are
        ``not_before`` and ``not_after``."""
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        leaf = self.certificate(*names, **dates)
        certificate.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))
        return certificate, key
