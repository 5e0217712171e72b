"""One JSON line per state of a container."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sensor.delivery.container_json import to_json
from sensor.delivery.descriptor import DescriptorWriter
from sensor.model.report import ContainerReport


class JsonLinesSink:
    """Writes JSON lines to ``fd``, which stays its owner's to close.

    Plain ASCII, so that no name out of a container can break a line, a terminal or a decoder.
    """

    def __init__(self, fd: int) -> None:
        self._writer = DescriptorWriter(fd)

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        self._writer.write_all(_line(report) for report in reports)

    def close(self) -> None:
        self._writer.flush()


def _line(report: ContainerReport) -> str:
    return json.dumps(to_json(report), separators=(",", ":")) + "\n"
