"""Why a package is missed or reported wrongly: ``(application, purl) -> a sentence``.

A difference that has no sentence here fails the run. One that is gone is to be taken out: the run says so.
"""

from __future__ import annotations

from collections.abc import Mapping

EXPLANATIONS: Mapping[tuple[str, str], str] = {
    ("node-toolchain", "pkg:npm/clsx@2.1.1"): (
        "webpack reads the file to put it into a bundle. Node.js opened it, and an open does not tell "
        "reading from loading."
    ),
}
