"""The chart with ``secretProvider=aws``, by the command lines that its users already type.

AWS and the Secrets Store CSI driver are those of ``secrets_store``; kubelet, API server and helm are real.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace

from tests.cluster.client import Json
from tests.ground.problem import GroundError
from tests.kubernetes.e2e import receiver_tokens
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.languages import APPLICATIONS, Application
from tests.kubernetes.e2e.leavings import Leavings, assert_nothing_left
from tests.kubernetes.e2e.release import READY_SECONDS, Release
from tests.kubernetes.e2e.reports import owner
from tests.kubernetes.e2e.secrets_store import driver, objects
from tests.kubernetes.e2e.secrets_store.account import ROLE, Account
from tests.kubernetes.e2e.secrets_store.mounts import Mounts
from tests.kubernetes.e2e.stage import GROUP, NAMESPACE, REGION, Stage
from tests.kubernetes.layout import NODE
from tests.kubernetes.workloads import apply, ready_pod, wait_for

_SECRET = "snyk-runtime-sensor-secret"
_UPGRADE = (
    *("--set", "secretProvider=aws"),
    *("--set", f"secretName={_SECRET}"),
    *("--set", "clusterName=my-cluster"),
    *("--set", f"snykGroupId={GROUP}"),
)
"""Of the documented upgrade; the installation's names a region's URL too."""
_INSTALLATION = (*_UPGRADE, *REGION)
# It has nothing to do with a node, and so none of the options that name one's files.
_DEPLOYMENT = ("workloadType=deployment", "sensor.extraArgs=null")
_ACCOUNT = "runtime-sensor"
_REGION_LABEL = "topology.kubernetes.io/region"
_TEAM = "5a3d8c1e-2b47-4f0e-9c55-8d1e6f7a2b30"
"""Another group at Snyk, which namespaces are reported to by `groupsScopes`."""
_FIRST, _LATER, _OF_A_GROUP = "python-aws", "python-aws-later", "python-aws-of-a-group"
"""Applications that no other scenario has, so that the receiver was told of none before."""
NO_KIND = 'no matches for kind "SecretProviderClass"'
NO_DRIVER = f"driver name {objects.DRIVER} not found in the list of registered CSI drivers"
NO_ROLE = f"An IAM role must be associated with service account {_ACCOUNT}"
NO_KEY = "JMES Path - snykToken for object alias - snykToken does not point to a valid object"
"""What people see, as docs/install/aws.md has it."""


def check_aws(stage: Stage, checks: Checks) -> None:
    """From a cluster without the driver to the removal of the chart."""
    release = _prepare(stage)
    before, leavings = release.objects(), Leavings.now(stage)
    account = Account({_SECRET: json.dumps({"snykToken": stage.receiver.token})})
    _check_without_driver(release, checks)
    mounts = Mounts(stage.cluster.machine, stage.client, account)
    with driver.running(mounts):
        _check_start(release, checks)
        _check_rotation(release, checks, account, mounts)
        _check_upgrade(release, checks)
        _check_groups(release, checks, account)
        _check_missing_key(release, checks, account)
        with checks.check("helm uninstalls it; no object is left, nor the secret that the driver made"):
            release.uninstall()
            release.wait_until_gone(before)
            assert _classes(release) == [], f"left: {_classes(release)}"
    with checks.check("no program or map in the kernel, no cgroup, mount and file is left on the node"):
        assert_nothing_left(stage, leavings)
    objects.remove(stage.client)
    stage.kubectl("label", "node", NODE, f"{_REGION_LABEL}-")
    for language in (_FIRST, _LATER, _OF_A_GROUP):
        stage.kubectl("delete", "deployment", f"shop-{language}", "--ignore-not-found")
    stage.remove_namespace(NAMESPACE)


def _prepare(stage: Stage) -> Release:
    """The namespace, as people make it, and the region, as every node of EKS has it."""
    stage.kubectl("create", "namespace", NAMESPACE)
    stage.kubectl("label", "node", NODE, f"{_REGION_LABEL}=eu-west-1")
    release = Release(stage, "my-runtime-sensor", NAMESPACE)
    wait_for(lambda: len(release.objects()) >= 2 or None, "what Kubernetes puts into a namespace")
    wait_for(lambda: stage.receiver.is_ready() or None, "the receiver")
    return release


def _check_without_driver(release: Release, checks: Checks) -> None:
    with checks.check("AWS: in a cluster without the driver helm refuses, and says which kind is missing"):
        said = _refusal(release)
        assert NO_KIND in said, f"it says: {said}"
    objects.install(release.stage.client)
    with checks.check("helm installs by the documented command"):
        release.install(*_INSTALLATION)
    with checks.check("on a node without the driver the pod's events say so"):
        _wait_for_event(release, NO_DRIVER)


def _check_start(release: Release, checks: Checks) -> None:
    stage = release.stage
    with checks.check("before the documented role is there the pod's events name the service account"):
        _wait_for_event(release, NO_ROLE)
    with checks.check(f"with it, and a secret of snykToken alone, it is ready in {READY_SECONDS:.0f} s"):
        # What `eksctl create iamserviceaccount --override-existing-serviceaccounts` changes.
        in_namespace = ("serviceaccount", _ACCOUNT, "-n", NAMESPACE, "--overwrite")
        stage.kubectl("annotate", *in_namespace, f"{ROLE}=arn:aws:iam::123456789012:role/sensor")
        stage.kubectl("label", *in_namespace, "app.kubernetes.io/managed-by=eksctl")
        release.wait_until_ready()
    with checks.check("kubectl get secrets shows what the driver made"):
        assert f"\n{_SECRET} " in stage.kubectl("get", "secrets", "-n", NAMESPACE)
    with checks.check("the report of a workload arrives"):
        _start(stage, _FIRST)
        _wait_for_report(stage, _FIRST)


def _check_rotation(release: Release, checks: Checks, account: Account, mounts: Mounts) -> None:
    stage = release.stage
    pod = release.pod()
    with checks.check("a token that was revoked keeps reports back"):
        token = secrets.token_urlsafe(24)
        receiver_tokens.give(stage, {token: None}, token)
        _start(stage, _LATER)
        _wait_for_log(release, "401")
        assert _told(_LATER) not in _owners(stage), "its report arrived all the same"
    with checks.check("another token in AWS, rotated by the driver, lets them through without a restart"):
        account.secrets[_SECRET] = json.dumps({"snykToken": token})
        mounts.rotate()
        _wait_for_report(stage, _LATER)
        now = release.pod()
        assert now["metadata"]["uid"] == pod["metadata"]["uid"], "there is another pod"
        assert now["status"]["containerStatuses"][0]["restartCount"] == 0, "it was restarted"


def _check_upgrade(release: Release, checks: Checks) -> None:
    with checks.check("helm upgrades it by the documented command, and the role stays"):
        release.upgrade(*_UPGRADE)
        release.wait_until_ready()


def _check_groups(release: Release, checks: Checks, account: Account) -> None:
    stage = release.stage
    common, team = stage.receiver.token, secrets.token_urlsafe(24)
    with checks.check("aws.groupsScopes and EKS Pod Identity, with workloadType=deployment: ready"):
        scopes = [{"groupId": _TEAM, "namespaces": ["default"], "token": team}]
        account.secrets[_SECRET] = json.dumps({"snykToken": common, "groupsScopes": json.dumps(scopes)})
        account.associations.add(f"{NAMESPACE}/{_ACCOUNT}")
        stage.kubectl("annotate", "serviceaccount", _ACCOUNT, "-n", NAMESPACE, f"{ROLE}-")
        # Nothing comes in but what is reported to that group, with its own token.
        receiver_tokens.give(stage, {common: [], team: [_TEAM]}, common)
        ways = ("aws.groupsScopes=true", "aws.usePodIdentity=true", *_DEPLOYMENT)
        release.upgrade(*_UPGRADE, *(word for way in ways for word in ("--set", way)))
        release.wait_until_ready()
    with checks.check("a namespace of groupsScopes is reported to its group, with its token"):
        _start(stage, _OF_A_GROUP)
        _wait_for_report(stage, _OF_A_GROUP)
    receiver_tokens.give(stage, {common: None}, common)


def _check_missing_key(release: Release, checks: Checks, account: Account) -> None:
    with checks.check("a secret without snykToken: nothing is mounted, and the pod's events name the key"):
        account.secrets[_SECRET] = json.dumps({"snyktoken": "of no use"})
        stage = release.stage
        stage.kubectl("delete", "pod", release.pod()["metadata"]["name"], "-n", NAMESPACE)
        _wait_for_event(release, NO_KEY)
        assert not any(f"/secrets/{_SECRET}" in each for each in release.objects()), "the secret is there"


def _refusal(release: Release) -> str:
    """Of helm, which installs nothing."""
    try:
        release.install(*_INSTALLATION)
    except GroundError as error:
        return str(error)
    raise AssertionError("it installs")


def _start(stage: Stage, language: str) -> None:
    """A Deployment of the application in Python, named by ``language``."""
    python = next(each for each in APPLICATIONS if each.language == "python")
    application: Application = replace(python, language=language)
    apply(stage.client, application.deployment(stage.cluster))
    ready_pod(stage.client, application.name)


def _wait_for_report(stage: Stage, language: str) -> None:
    mine = _told(language)
    wait_for(lambda: mine in _owners(stage) or None, f"a report of {mine}", lambda: str(_owners(stage)))


def _owners(stage: Stage) -> set[str]:
    """Of the containers that the receiver was told of."""
    return {owner(each) for each in stage.receiver.containers()}


def _told(language: str) -> str:
    return f"Deployment shop-{language} in default"


def _wait_for_event(release: Release, text: str) -> None:
    """As people see it: by the command that the notes name."""
    selector = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/name=runtime-sensor"
    command = ("describe", "pods", "--namespace", release.namespace, "--selector", selector)

    def events() -> str:
        return release.stage.kubectl(*command).partition("Events:")[2]

    wait_for(lambda: text in events() or None, f"an event that says {text!r}", events)


def _wait_for_log(release: Release, text: str) -> None:
    wait_for(lambda: text in release.log() or None, f"{text!r} in the log", lambda: release.log()[-2000:])


def _classes(release: Release) -> list[Json]:
    path = f"/apis/{objects.GROUP}/v1/namespaces/{release.namespace}/secretproviderclasses"
    items: list[Json] = release.stage.client.get(path)["items"]
    return items
