"""What workloads have loaded arrives at the receiver, under their names."""

from __future__ import annotations

import time

import urllib3

from tests.cluster.client import Json
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.languages import APPLICATIONS, Application
from tests.kubernetes.e2e.receiver import Receiver
from tests.kubernetes.e2e.stage import Stage
from tests.kubernetes.workloads import apply, ready_pod, wait_for

_ARRIVAL_SECONDS = 120.0


def check_reports(stage: Stage, checks: Checks) -> None:
    """Starts a Deployment of each language, all at once, and waits for the reports of each."""
    with checks.check("the receiver is ready"):
        wait_for(lambda: stage.receiver.is_ready() or None, "the receiver")
    for application in APPLICATIONS:
        with checks.check(f"a Deployment in {application.language} starts"):
            apply(stage.client, application.deployment(stage.cluster))
            ready_pod(stage.client, application.name)
    for application in APPLICATIONS:
        with checks.check(f"{application.purl} arrives under the name {application.name}, and no other"):
            _wait_for(application, stage.receiver)


def _wait_for(application: Application, receiver: Receiver) -> None:
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    owners: set[str] = set()
    found: list[Json] = []
    while not owners:
        shown = [(each.get("workload"), _purls(each)[:5]) for each in found]
        assert time.monotonic() < deadline, f"not after {_ARRIVAL_SECONDS:.0f} s; the receiver has {shown}"
        time.sleep(0.5)
        try:
            found = receiver.containers()
        except urllib3.exceptions.HTTPError:
            continue
        owners = {owner(each) for each in found if application.purl in _purls(each)}
    assert owners == {f"Deployment {application.name} in default"}, f"found the owners {owners}"


def owner(container: Json) -> str:
    """Of a container that the receiver shows, in words."""
    workload = container["workload"]
    return f"{workload['kind']} {workload['name']} in {container['namespace']}"


def _purls(container: Json) -> list[str]:
    return [package["purl"] for package in container["packages"]]
