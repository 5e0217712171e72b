"""Two sinks as one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sensor.delivery.sink import SinkError
from sensor.delivery.tee import Tee
from sensor.model.report import ContainerReport
from tests.unit.reports import report, use


class Kept:
    def __init__(self, error: SinkError | None = None) -> None:
        self.error = error
        self.reports: list[ContainerReport] = []
        self.closed = False

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        if self.error:
            raise self.error
        self.reports += reports

    def close(self) -> None:
        self.closed = True
        if self.error:
            raise self.error


def test_both_get_everything() -> None:
    first, second = Kept(), Kept()
    tee = Tee(first, second)
    tee.deliver([report(use("a"))])
    tee.close()
    assert first.reports == second.reports == [report(use("a"))]
    assert first.closed and second.closed


def test_nothing_is_shown_that_is_not_kept() -> None:
    first, second = Kept(SinkError("full")), Kept()
    with pytest.raises(SinkError, match="full"):
        Tee(first, second).deliver([report()])
    assert second.reports == []


def test_an_error_of_what_is_shown_counts_as_not_delivered() -> None:
    first, second = Kept(), Kept(SinkError("slow", delivered=1))
    with pytest.raises(SinkError) as error:
        Tee(first, second).deliver([report(), report()])
    assert error.value.delivered == 1
    assert len(first.reports) == 2


def test_both_are_closed_whatever_the_first_says() -> None:
    first, second = Kept(SinkError("full")), Kept()
    with pytest.raises(SinkError, match="full"):
        Tee(first, second).close()
    assert second.closed
