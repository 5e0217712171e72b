"""Values that are rendered and held against every version's schema; each name says what is of interest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DIGEST = f"sha256:{'4b' * 32}"
_ON_OPENSHIFT = ("--api-versions=security.openshift.io/v1",)


@dataclass(frozen=True)
class Combination:
    """``values`` maps dotted paths to values, ``options`` are more options of helm template."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    release: str = "my-runtime-sensor"
    chart: str = "runtime-sensor"
    """Of the folder ``helm/``."""


def _on(name: str, *options: str, release: str = "my-runtime-sensor", **values: Any) -> Combination:
    """``__`` stands for the dot of a path."""
    return Combination(name, {k.replace("__", "."): v for k, v in values.items()}, options, release)


_AWS = {"secretProvider": "aws", "secretName": "snyk-runtime-sensor-secret"}
_CLUSTER = {"workloadType": "deployment"}

RUNTIME_SENSOR = (
    _on("defaults"),
    _on("seed", secretName="s", clusterName="prod", snykGroupId="12345678-1234-1234-1234-123456789abc"),
    _on("seed's region", snykAPIBaseURL="api.eu.snyk.io:443"),
    _on(
        "seed's resources",
        sensor__resources__requests__memory="512Mi",
        sensor__resources__requests__cpu="100m",
        sensor__resources__limits__memory="1024Mi",
        sensor__resources__limits__cpu="500m",
    ),
    _on("seed's AWS", **_AWS, clusterName="prod"),
    _on("seed's SYS_ADMIN", securityContext__capabilities=["SYS_ADMIN"]),
    _on("seed's privileged", securityContext__privileged=True),
    _on("seed's OpenShift", *_ON_OPENSHIFT),
    _on("deployment", **_CLUSTER),
    _on("deployment with AWS", **_CLUSTER, **_AWS),
    _on("deployment with everything around it", **_CLUSTER, networkPolicy__enabled=True, caBundle__pem=PEM),
    _on("deployment privileged, which means nothing there", **_CLUSTER, securityContext__privileged=True),
    _on("deployment on OpenShift", *_ON_OPENSHIFT, **_CLUSTER, openshift__enabled=True),
    _on("AWS with groupsScopes", **_AWS, aws__groupsScopes=True),
    _on(
        "AWS by Pod Identity, in regions",
        **_AWS,
        aws__usePodIdentity=True,
        aws__region="eu-west-1",
        aws__failoverRegion="eu-central-1",
    ),
    _on("name", nameOverride="loaded"),
    _on("full name", fullnameOverride="sensor-of-team-a"),
    _on("release that does not name the chart", release="blue"),
    _on("release that is called as the chart", release="runtime-sensor"),
    _on("deployment that is called as the chart", release="runtime-sensor", **_CLUSTER),
    _on("release that is called as its nameOverride", release="loaded", nameOverride="loaded"),
    _on("release of digits", release="2026"),
    _on("longest release", release="r" * 53),
    _on("debug as text", debug="true"),
    _on("debug as truth", debug=True),
    _on("tolerations", tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]),
    _on("registry's secret", imagePullSecret="registry"),
    _on("filter by kind", sensor__filters__workloadTypes=["deployment", "cronjob"]),
    _on("filter by namespace", sensor__filters__namespaces=["shop", "team-*"]),
    _on("filter by labels, a list", sensor__filters__podLabels=["tier=web", "app.kubernetes.io/name=a"]),
    _on("filter by labels, a map", sensor__filters__podLabels={"tier": "web"}),
    _on("tag", sensor__image__repository="registry.example/team/sensor", sensor__image__tag="v1.2.3"),
    _on("digest", sensor__image__digest=DIGEST),
    _on("pull policy", sensor__image__pullPolicy="Always"),
    _on(
        "role of AWS",
        sensor__serviceAccount__annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"},
    ),
    _on("own service account", sensor__serviceAccount__create=False, sensor__serviceAccount__name="mine"),
    _on("the namespace's service account", sensor__serviceAccount__create=False),
    _on("pod's annotations and labels", sensor__podAnnotations={"a": "b"}, sensor__podLabels={"team": "a"}),
    _on("arguments", sensor__extraArgs=["--plaintext", "--ring-size=8"], sensor__transport="grpc"),
    _on("no rights", clusterRole__create=False, role__create=False),
    _on("capabilities omitted", securityContext__omitCapabilities=["SYS_NICE", "CAP_SYS_RESOURCE"]),
    _on("no more capabilities", securityContext__capabilities=[]),
    _on(
        "seccomp of our own",
        securityContext__seccompProfile={"type": "Localhost", "localhostProfile": "a.json"},
    ),
    _on("AppArmor of the runtime", securityContext__appArmor="RuntimeDefault"),
    _on("SELinux", securityContext__seLinuxOptions={"type": "super_t", "level": "s0"}),
    _on("SCC", *_ON_OPENSHIFT, openshift__enabled=True),
    _on("SCC, privileged", openshift__enabled=True, securityContext__privileged=True),
    _on("SCC without its role", openshift__enabled=True, role__create=False),
    _on("SCC and AWS", openshift__enabled=True, **_AWS),
    _on("state on the node", sensor__state__hostPath="/var/lib/runtime-sensor/", sensor__state__limitMiB=128),
    _on("no container runtime", sensor__extraArgs=["--cri-socket=off"]),
    _on("IPv6", metrics__address="[::]", metrics__port=9191),
    _on("probes", probes__startup__failureThreshold=300, probes__liveness__periodSeconds=60),
    _on(
        "where it runs",
        nodeSelector={"pool": "a"},
        priorityClassName="system-node-critical",
        affinity={"nodeAffinity": {}},
    ),
    _on("updates by hand", updateStrategy={"type": "OnDelete", "rollingUpdate": None}),
    _on("proxy", proxy__https="http://proxy.example:3128", proxy__noProxy="10.0.0.0/8"),
    _on("certificates", caBundle__pem=PEM),
    _on("certificates of a ConfigMap", caBundle__configMap="corporate", caBundle__key="bundle.pem"),
    _on("network policy", networkPolicy__enabled=True),
    _on(
        "network policy, narrow",
        networkPolicy__enabled=True,
        networkPolicy__upstreamCidrs=["203.0.113.0/24"],
        networkPolicy__apiServerCidrs=["10.0.0.1/32", "fd00::1/128"],
        networkPolicy__apiServerPorts=[443],
        networkPolicy__metricsFrom=[{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        networkPolicy__extraEgress=[{"ports": [{"port": 8443, "protocol": "TCP"}]}],
    ),
    _on("network policy through a proxy", networkPolicy__enabled=True, proxy__https="http://p:3128"),
    _on("network policy on OpenShift", *_ON_OPENSHIFT, networkPolicy__enabled=True),
    _on("pod monitor", podMonitor__enabled=True, podMonitor__labels={"release": "prometheus"}),
    _on("no test", tests__enabled=False),
    _on(
        "more variables and volumes",
        sensor__extraEnv=[{"name": "SENTRY_DSN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
        sensor__extraVolumes=[{"name": "more", "emptyDir": {}}],
        sensor__extraVolumeMounts=[{"name": "more", "mountPath": "/more"}],
    ),
)

COMBINATIONS: tuple[Combination, ...] = (*RUNTIME_SENSOR,)
"""Of all charts; no two have one name."""
