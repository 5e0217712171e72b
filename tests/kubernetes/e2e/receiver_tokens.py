"""Other tokens for the receiver while it runs, as Snyk has them when people make and revoke them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import urllib3

from tests.kubernetes.e2e.receiver import NAMESPACE
from tests.kubernetes.e2e.stage import Stage
from tests.kubernetes.workloads import wait_for

_MAY = ["AppRisk edit", "Publish Kubernetes Resources", "view"]


def give(stage: Stage, tokens: Mapping[str, list[str] | None], own: str) -> None:
    """``tokens``, each with the groups that it may report to (None: all), are all that it takes from now on.

    ``own`` of them is the one that ``stage.receiver`` is asked with. Returns when it takes them: a kubelet
    brings a changed Secret to the pod within a minute or two, and at once where the pod changes as well.
    """
    listed = [
        {"token": token, "permissions": _MAY, **({} if groups is None else {"groups": groups})}
        for token, groups in tokens.items()
    ]
    content = base64.b64encode(json.dumps({"tokens": listed}).encode()).decode()
    made = stage.client.patch(
        f"/api/v1/namespaces/{NAMESPACE}/secrets/receiver", {"data": {"tokens.json": content}}
    )
    changed = {"metadata": {"annotations": {"tokens-of": made["metadata"]["resourceVersion"]}}}
    for pod in stage.client.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]:
        stage.client.patch(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}", changed)
    stage.receiver.token = own
    wait_for(lambda: _takes(stage) or None, "the receiver's new tokens")


def _takes(stage: Stage) -> bool:
    try:
        stage.receiver.containers()
    except (AssertionError, urllib3.exceptions.HTTPError):
        return False
    return True
