"""What a scenario plays on: the cluster, the tools that people use, and the receiver in Snyk's place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.client import Client
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.e2e.helm import Helm
from tests.kubernetes.e2e.kubectl import Kubectl
from tests.kubernetes.e2e.receiver import Receiver

GROUP = "0f5b7c1e-9d5c-4c7b-8a44-2f1f4f3f9a10"
"""A group at Snyk: any UUID, as the receiver keeps the reports of each apart."""
NAMESPACE = "snyk-runtime-sensor"
SECRET = "my-snyk-secret"
DOCUMENTED = (
    *("--set", f"secretName={SECRET}"),
    *("--set", "clusterName=my-cluster"),
    *("--set", f"snykGroupId={GROUP}"),
)
"""Options of the documented installation, as people type them; what is optional in it comes beside."""
REGION = ("--set", "snykAPIBaseURL=api.eu.snyk.io:443")


@dataclass(frozen=True, slots=True)
class Stage:
    """Helm knows the chart as people do, by a repository: ``chart`` is ``runtime-sensor/runtime-sensor``.

    ``folder``  for a scenario's files, gone at the end
    ``beside``   options of every installation beyond those of the documented commands: the authority that
                signed the receiver's certificate, which Snyk's real one does without, and where the node's
                files are, as process 1 of this machine is not on the cluster's node
    """

    cluster: Cluster
    client: Client
    helm: Helm
    kubectl: Kubectl
    receiver: Receiver
    folder: Path
    chart: str = "runtime-sensor/runtime-sensor"

    @property
    def beside(self) -> tuple[str, ...]:
        node = f"--host-root=/proc/{self.cluster.machine.holder.pid}/root"
        ca = ("--set-file", f"caBundle.pem={self.receiver.ca}")
        return (*ca, "--set", f"sensor.extraArgs={{{node}}}")

    def make_namespace(self, name: str, secret: str = "snyk-secret") -> None:
        """The first steps of every installation: a namespace, and in it the token as a secret."""
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(self.receiver.token)
        self.kubectl("create", "namespace", name)
        # People type --from-literal; a file keeps the token out of the messages of a command that fails.
        self.kubectl("create", "secret", "generic", secret, f"--from-file=snykToken={token}", "-n", name)
        token.unlink()

    def remove_namespace(self, name: str) -> None:
        """With all that is in it, to the end."""
        self.kubectl("delete", "namespace", name, "--timeout=120s")
