"""Files into a volume all at once, as the kubelet's and the driver's atomic writer put them there.

What is seen are links through ``..data`` to a folder of a moment, which another takes the place of:
k8s.io/kubernetes, pkg/volume/util/atomic_writer.go.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_DATA = "..data"


def write(folder: Path, files: Mapping[str, bytes], mode: int = 0o644) -> bool:
    """Makes ``files`` what ``folder`` shows; False where it showed them already, and nothing was done.

    ``mode`` is the driver's: everybody in the pod may read. Raises OSError.
    """
    data = folder / _DATA
    former = folder / data.readlink() if data.is_symlink() else None
    if former is not None and _shown(former) == dict(files):
        return False
    moment = Path(tempfile.mkdtemp(prefix=f"..{datetime.now(UTC):%Y_%m_%d_%H_%M_%S}.", dir=folder))
    moment.chmod(0o755)
    for name, content in files.items():
        (moment / name).write_bytes(content)
        (moment / name).chmod(mode)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path(_DATA, name))
    new = folder / f"{_DATA}_tmp"
    new.symlink_to(moment.name)
    new.rename(data)
    if former is not None:
        for name in _shown(former).keys() - files.keys():
            (folder / name).unlink()
        shutil.rmtree(former)
    return True


def _shown(moment: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in moment.iterdir()}
