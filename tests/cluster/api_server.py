"""A real kube-apiserver with a real etcd, on loopback, for one test or one session."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import urllib3

from tests.cluster import audit
from tests.cluster.accounts import Accounts
from tests.cluster.build import kube_apiserver
from tests.cluster.certificates import Certificates
from tests.cluster.client import Client
from tests.cluster.daemon import ClusterError, Daemon, free_ports, wait_until
from tests.cluster.etcd import Etcd
from tests.cluster.proxy import FaultProxy

_START_SECONDS = 90.0
_EXPIRED_KEY = "/tests/writes-behind-the-back"


class ApiServer:
    """Context manager; ``options`` are added to the command line and win over ours.

    ``url``      https://127.0.0.1:PORT, the same after a restart
    ``ca``       file with the authority that signed its certificate
    ``admin``    client that may do everything; shared, safe between threads
    ``accounts`` service accounts with exactly the rights that a test gives them

    RBAC decides; the watch cache is on; service accounts get tokens by TokenRequest. Nothing acts on the
    objects: no controller, no scheduler, no kubelet, no garbage collector. Namespaces once deleted stay
    ``Terminating``, objects outlive their owners, and a pod needs its ``nodeName`` and ``status`` written.
    """

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._options = tuple(options)

    def __enter__(self) -> Self:
        program = kube_apiserver()
        self._temporary = tempfile.TemporaryDirectory(prefix="cluster-")
        self._folder = Path(self._temporary.name)
        self._certificates = Certificates(self._folder)
        self._port, client_port, peer_port = free_ports(3)
        self.url = f"https://127.0.0.1:{self._port}"
        self.ca = self._certificates.ca
        self.etcd = Etcd(self._folder, client_port, peer_port)
        self._daemon = Daemon(
            "kube-apiserver", [str(program), *self._flags(), *self._options], self._folder / "api-server.log"
        )
        self.admin = Client(self.url, self._certificates.client_context(admin=True))
        self.accounts = Accounts(self.admin, self._certificates, self._folder / "tokens")
        try:
            self.etcd.start()
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """Process id of kube-apiserver while it runs."""
        return self._daemon.pid

    @property
    def log(self) -> Path:
        """What kube-apiserver wrote to standard error."""
        return self._daemon.log

    def start(self) -> None:
        """Returns when it answers ``/readyz``: etcd reached, the watch caches filled, roles written."""
        self._daemon.start()
        wait_until(self._ready, _START_SECONDS, self._daemon)

    def stop(self, *, kill: bool = False) -> None:
        """Stops the API server alone, in order or with SIGKILL; etcd and the port are kept for ``start``."""
        self.admin.close()
        self._daemon.stop(kill=kill)

    def restart(self) -> None:
        """Cuts all connections; what clients knew before is still valid."""
        self.stop()
        self.start()

    def compact(self) -> int:
        """etcd forgets its history; returns the revision before which nothing is left.

        The API server serves lists and watches from its watch cache, which still knows: watches from older
        resource versions go on without error. See :meth:`expire_watches`.
        """
        return self.etcd.compact()

    def expire_watches(self) -> None:
        """Every resource version that a client holds is answered with 410 from now on.

        While the API server is down a write moves etcd's revision past everything that a client can have
        seen, bookmarks included, and all before is compacted. The watch caches of the new process then
        begin behind it.
        """
        self.stop()
        self.etcd.write(_EXPIRED_KEY, str(time.time()))
        self.etcd.compact()
        self.start()

    def kubeconfig(self, path: Path, *, url: str | None = None, token_file: Path | None = None) -> Path:
        """Writes a kubeconfig (context ``test``): the administrator's, or one with a token.

        ``url`` may be a proxy's, which goes only with a token.
        """
        certificate, key = self._certificates.admin
        user = (
            {"tokenFile": str(token_file)}
            if token_file is not None
            else {"client-certificate": str(certificate), "client-key": str(key)}
        )
        cluster = {"server": url or self.url, "certificate-authority": str(self.ca)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(document, indent=1))
        return path

    def client(self, token: str, *, url: str | None = None, user_agent: str = "test-client") -> Client:
        """A client with the rights of ``token``, to be closed by the caller."""
        return Client(url or self.url, self._certificates.client_context(), token, user_agent)

    def proxy(self) -> FaultProxy:
        """A proxy before this server, for use with ``with``; it shows a certificate of the same authority."""
        certificates = self._certificates
        return FaultProxy(self._port, certificates.server_context(), certificates.client_context())

    def requests(self, user_agent: str = "") -> list[audit.Request]:
        """The requests so far whose user agent begins with ``user_agent``, watches once they are accepted."""
        return audit.read(self._folder / "audit.log", user_agent)

    def _ready(self) -> bool:
        try:
            status = self.admin.status_of("/readyz")
        except urllib3.exceptions.HTTPError:
            return False
        if status in (401, 403):
            raise ClusterError(f"the administrator is refused (HTTP {status}):\n{self._daemon.last_lines()}")
        return status == 200

    def _end(self) -> None:
        self.stop(kill=True)
        self.etcd.stop()
        self._temporary.cleanup()

    def _flags(self) -> list[str]:
        policy = self._folder / "audit-policy.json"
        policy.write_text(json.dumps(audit.POLICY))
        certificate, key = self._certificates.server
        return [
            f"--etcd-servers={self.etcd.url}",
            "--bind-address=127.0.0.1",
            # Else it looks for an interface with a default route and ends without one.
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--cert-dir={self._folder}",
            f"--client-ca-file={self.ca}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            # Streaming lists need etcd 3.4.31: with Debian's 3.4.23 a watch that allows bookmarks and has no
            # resourceVersion, or 0, would be answered with an internal error instead of a plain watch.
            "--feature-gates=WatchList=false",
            "--service-cluster-ip-range=10.96.0.0/24",
            # Endpoints of loopback addresses are invalid: it would complain for ever.
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-signing-key-file={self._certificates.signing_key_file}",
            f"--service-account-key-file={self._certificates.signing_key_file}",
            "--service-account-extend-token-expiration=false",
            # It refuses pods until a controller has made the namespace's default account.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._folder / 'audit.log'}",
            "--audit-log-mode=blocking",
        ]
