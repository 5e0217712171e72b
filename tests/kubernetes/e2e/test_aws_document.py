"""What the scenario sees in a cluster is what the page for people quotes."""

from __future__ import annotations

import pytest

from tests.charts.helm_program import ROOT
from tests.kubernetes.e2e import aws


@pytest.mark.parametrize("said", [aws.NO_KIND, aws.NO_DRIVER, aws.NO_ROLE, aws.NO_KEY])
def test_the_page_quotes_what_is_said(said: str) -> None:
    assert f"| `{said}` |" in (ROOT / "docs/install/aws.md").read_text()
