"""The receiver in the cluster, from the image under test, in Snyk's place: its names, its port, TLS."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path

import trustme
import urllib3

from tests.cluster.client import Client, Json
from tests.kubernetes.dns_server import HOSTNAME
from tests.kubernetes.layout import DOMAIN
from tests.kubernetes.workloads import apply

NAMESPACE = "receiver"
_HOST = f"receiver.{NAMESPACE}.svc.{DOMAIN}"
_NAMES = ("api.snyk.io", "api.eu.snyk.io")
"""Of Snyk, as the cluster resolves them; the second is a region's."""
_PORTS = {"grpc": 9443, "https": 443}
_SETTINGS = "/etc/receiver"
_USER = 65532
_MAY = ["AppRisk edit", "Publish Kubernetes Resources", "view"]


class Receiver:
    """``token`` is its only one. ``ca`` is the file of the authority that signed its certificate."""

    def __init__(self, client: Client, image: str, folder: Path) -> None:
        self._client = client
        self._image = image
        self._authority = trustme.CA()
        self.token = secrets.token_urlsafe(24)
        self.ca = folder / "receiver-ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def upstream(self, transport: str = "https") -> str:
        """As the chart's ``snykAPIBaseURL``, under its own name."""
        return f"{_HOST}:{_PORTS[transport]}"

    def start(self) -> None:
        """Its objects; it is ready later."""
        for thing in (self._namespace(), self._secret(), self._deployment(), self._service()):
            apply(self._client, thing)

    def is_ready(self) -> bool:
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/receiver"
        return bool(self._client.get(path)["status"].get("readyReplicas"))

    def containers(self) -> list[Json]:
        """What it shows of the cluster, asked by the address of its Service. Raises HTTPError, ValueError."""
        service = self._client.get(f"/api/v1/namespaces/{NAMESPACE}/services/receiver")
        with urllib3.HTTPSConnectionPool(
            service["spec"]["clusterIP"],
            _PORTS["https"],
            ca_certs=str(self.ca),
            server_hostname=_HOST,
            assert_hostname=_HOST,
            timeout=urllib3.Timeout(30),
            retries=False,
        ) as pool:
            headers = {"Host": _HOST, "Authorization": f"token {self.token}"}
            answer = pool.request("GET", "/api/containers", headers=headers)
        assert answer.status == 200, f"the receiver answers {answer.status}: {answer.data[:300]!r}"
        found: list[Json] = answer.json()["containers"]
        return found

    def _namespace(self) -> Json:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}

    def _secret(self) -> Json:
        issued = self._authority.issue_cert(_HOST, *_NAMES)
        files = {
            "tls.pem": b"".join(part.bytes() for part in issued.cert_chain_pems),
            "tls.key": issued.private_key_pem.bytes(),
            "tokens.json": json.dumps({"tokens": [{"token": self.token, "permissions": _MAY}]}).encode(),
        }
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": _called(), "data": data}

    def _deployment(self) -> Json:
        addresses = [f"--{name}-address=0.0.0.0:{port}" for name, port in (("grpc", 9443), ("http", 9480))]
        files = ("tls-certificate=tls.pem", "tls-key=tls.key", "tokens=tokens.json")
        options = [f"--{each.replace('=', f'={_SETTINGS}/')}" for each in files]
        container = {
            "name": "receiver",
            "image": self._image,
            "command": ["runtime-sensor", "receiver", "--data-dir=/data", *addresses, *options],
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "settings", "mountPath": _SETTINGS},
            ],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 9480, "scheme": "HTTPS"}},
            "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        }
        spec = {
            "containers": [container],
            "securityContext": {"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "settings", "secret": {"secretName": "receiver"}},
            ],
        }
        # Other tokens and another certificate than a former run's need a new pod.
        marks = {"labels": {"app": "receiver"}, "annotations": {"started-with": self._serial()}}
        template = {"metadata": marks, "spec": spec}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _called(),
            "spec": {"selector": {"matchLabels": {"app": "receiver"}}, "template": template},
        }

    def _serial(self) -> str:
        return hashlib.sha256(self.ca.read_bytes()).hexdigest()

    def _service(self) -> Json:
        behind = {"grpc": 9443, "https": 9480}
        ports = [{"name": name, "port": port, "targetPort": behind[name]} for name, port in _PORTS.items()]
        metadata = {**_called(), "annotations": {HOSTNAME: ",".join(_NAMES)}}
        spec = {"selector": {"app": "receiver"}, "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _called() -> Json:
    return {"name": "receiver", "namespace": NAMESPACE}
