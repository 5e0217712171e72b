"""Values that must be refused, with what the message must name: where, and which."""

from __future__ import annotations

from typing import Any, NamedTuple


class Wrong(NamedTuple):
    path: str
    value: Any
    named: tuple[str, ...]
    """Parts of the message: the field that is wrong or unknown, and the groups that it is in."""
    chart: str = "runtime-sensor"


RUNTIME_SENSOR = (
    Wrong("workloadType", "banana", ("workloadType",)),
    Wrong("snykGroupID", "12345678-1234-1234-1234-123456789abc", ("snykGroupID",)),
    Wrong("secretProvider", "azure", ("secretProvider",)),
    Wrong("snykGroupId", "my-group", ("snykGroupId",)),
    Wrong("snykAPIBaseURL", "api.snyk.io/v1/extra", ("snykAPIBaseURL",)),
    Wrong("snykAPIBaseUrl", "api.snyk.io:443", ("snykAPIBaseUrl",)),
    Wrong("clusterName", 7, ("clusterName",)),
    Wrong("clusterName", "", ("clusterName",)),
    Wrong("debug", "yes", ("debug",)),
    Wrong("secretName", "", ("secretName",)),
    Wrong("secretName", "Snyk_Secret", ("secretName",)),
    Wrong("nameOverride", "Runtime Sensor", ("nameOverride",)),
    Wrong("tolerations", [{"operater": "Exists"}], ("tolerations", "operater")),
    Wrong("tolerations", [{"operator": "Exist"}], ("tolerations", "operator")),
    Wrong("imagePullSecret", ["registry"], ("imagePullSecret",)),
    Wrong("sensor.filters.workloadTypes", ["deploymnet"], ("sensor", "filters", "workloadTypes")),
    Wrong("sensor.filters.namespace", ["shop"], ("sensor", "filters", "namespace")),
    Wrong("sensor.filters.namespaces", ["Shop"], ("sensor", "filters", "namespaces")),
    Wrong("sensor.filters.podLabels", ["tier"], ("sensor", "filters", "podLabels")),
    Wrong("sensor.image.repositry", "a", ("sensor", "image", "repositry")),
    Wrong("sensor.image.tag", 1, ("sensor", "image", "tag")),
    Wrong("sensor.image.digest", "sha256:abc", ("sensor", "image", "digest")),
    Wrong("sensor.image.pullPolicy", "Sometimes", ("sensor", "image", "pullPolicy")),
    Wrong("sensor.resources.limits.memory", "1 GB", ("sensor", "resources", "limits", "memory")),
    Wrong("sensor.resource.limits.memory", "1Gi", ("sensor", "resource")),
    Wrong("sensor.serviceAccount.create", "yes", ("sensor", "serviceAccount", "create")),
    Wrong("sensor.extraArgs", "--plaintext", ("sensor", "extraArgs")),
    Wrong("sensor.transport", "http", ("sensor", "transport")),
    Wrong("sensor.state.hostPath", "/", ("sensor", "state", "hostPath")),
    Wrong("sensor.state.hostPath", "var/lib", ("sensor", "state", "hostPath")),
    Wrong("sensor.state.limitMiB", 4, ("sensor", "state", "limitMiB")),
    Wrong("sensor.extraEnv", [{"value": "a"}], ("sensor", "extraEnv", "name")),
    Wrong("role.creat", True, ("role", "creat")),
    Wrong("clusterRole.create", "true", ("clusterRole", "create")),
    Wrong("securityContext.privilege", True, ("securityContext", "privilege")),
    Wrong("securityContext.capabilities", "SYS_ADMIN", ("securityContext", "capabilities")),
    Wrong("securityContext.capabilities", ["sys_admin"], ("securityContext", "capabilities")),
    Wrong("securityContext.seccompProfile.type", "Default", ("securityContext", "seccompProfile", "type")),
    Wrong("securityContext.appArmor", "off", ("securityContext", "appArmor")),
    Wrong("metrics.port", 80, ("metrics", "port")),
    Wrong("probes.startup.periodSeconds", 0, ("probes", "startup", "periodSeconds")),
    Wrong("updateStrategy.type", "Recreate", ("updateStrategy", "type")),
    Wrong("proxy.https", "http://user:secret@proxy:3128", ("proxy", "https")),
    Wrong("caBundle.pem", "/etc/ssl/ca.pem", ("caBundle", "pem")),
    Wrong("networkPolicy.upstreamCidrs", ["api.snyk.io"], ("networkPolicy", "upstreamCidrs")),
    Wrong("podMonitor.interval", "often", ("podMonitor", "interval")),
    Wrong("openshift.scc", True, ("openshift", "scc")),
    Wrong("aws.usePodIdentity", "yes", ("aws", "usePodIdentity")),
    Wrong("aws.region", "Frankfurt", ("aws", "region")),
    Wrong("aws.failoverRegion", "eu", ("aws", "failoverRegion")),
)

WRONG_VALUES: tuple[Wrong, ...] = (*RUNTIME_SENSOR,)
