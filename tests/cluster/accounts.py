"""Service accounts with exactly the rights that a test gives them, and tokens that end when it wants."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.cluster.certificates import Certificates
from tests.cluster.client import ApiError, Client, Json, path_of

# The API server's clock may be wrong by as much (go-jose's DefaultLeeway), so it takes a token for that much
# longer than the token says.
LEEWAY_SECONDS = 60
# How long it keeps in mind that a token was good (kube-apiserver's TokenSuccessCacheTTL).
CACHE_SECONDS = 10


class Accounts:
    """Tokens are in ``folder`` as in a pod: ``NAMESPACE/NAME`` has ``token``, ``ca.crt``, ``namespace``."""

    def __init__(self, admin: Client, certificates: Certificates, folder: Path) -> None:
        self._admin = admin
        self._certificates = certificates
        self._folder = folder

    def make(self, namespace: str, name: str, rules: Sequence[Json], seconds: int = 3600) -> Path:
        """A service account bound to a ClusterRole of exactly ``rules``; the file with its token.

        A rule is RBAC's: ``{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}``.
        The namespace is made where it is missing.
        """
        role = f"{namespace}-{name}"
        self._ensure({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self._ensure(_account(namespace, name))
        self.allow(namespace, name, rules)
        self._ensure(
            {
                **_rbac("ClusterRoleBinding", role),
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": role,
                },
                "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
            }
        )
        return self.renew(namespace, name, seconds)

    def allow(self, namespace: str, name: str, rules: Sequence[Json]) -> None:
        """Replaces what the account may do; in effect within a fraction of a second, not at once."""
        role = {**_rbac("ClusterRole", f"{namespace}-{name}"), "rules": list(rules)}
        try:
            self._admin.create(role)
        except ApiError as error:
            if error.status != 409:
                raise
            self._admin.patch(path_of(role), {"rules": list(rules)})

    def renew(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """Puts a new token, good for ``seconds``, into the account's file, as a kubelet does."""
        token = self.token(namespace, name, seconds)
        path = self._folder / namespace / name / "token"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name("ca.crt").write_bytes(self._certificates.ca.read_bytes())
        path.with_name("namespace").write_text(namespace)
        unfinished = path.with_name("token.new")
        unfinished.write_text(token)
        unfinished.replace(path)
        return path

    def token(self, namespace: str, name: str, seconds: int = 3600) -> str:
        """A token of TokenRequest; below its least of 600 s, one that we sign with the server's own key.

        The API server answers 401 between ``seconds`` and ``seconds`` + :data:`CACHE_SECONDS` from now.
        """
        asked = max(seconds, 600)
        spec = {"audiences": [], "expirationSeconds": asked}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"{path_of(_account(namespace, name))}/token"
        token: str = self._admin.post(path, request)["status"]["token"]
        return token if seconds == asked else self._shorter(token, seconds)

    def revoke(self, namespace: str, name: str) -> None:
        """All tokens so far are answered with 401 within :data:`CACHE_SECONDS`; the rights stay for new ones.

        The account is deleted and made anew: tokens name its uid, roles its name.
        """
        self._admin.delete(_account(namespace, name))
        self._admin.create(_account(namespace, name))

    def _shorter(self, token: str, seconds: int) -> str:
        header, claims, _ = token.split(".")
        content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=="))
        content["exp"] = int(time.time()) - LEEWAY_SECONDS + seconds
        content["iat"] = content["nbf"] = content["exp"] - 600
        signed = f"{header}.{_base64(json.dumps(content).encode())}"
        signature = self._certificates.signing_key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        # RFC 7518, 3.4: both numbers side by side, not in DER.
        r, s = decode_dss_signature(signature)
        return f"{signed}.{_base64(r.to_bytes(32) + s.to_bytes(32))}"

    def _ensure(self, manifest: Json) -> None:
        try:
            self._admin.create(manifest)
        except ApiError as error:
            if error.status != 409:
                raise


def _account(namespace: str, name: str) -> Json:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _rbac(kind: str, name: str) -> Json:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
