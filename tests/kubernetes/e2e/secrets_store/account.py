"""AWS as far as its provider asks it: a Secrets Manager, and roles of service accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROLE = "eks.amazonaws.com/role-arn"
"""Annotation of a service account: the role that it takes by its token (IRSA)."""


class AwsError(Exception):
    """What AWS answers: its name for the error, and its text."""


@dataclass(slots=True)
class Account:
    """``secrets`` are by name; tests change them as people do. ``associations`` are of EKS Pod Identity:
    the service accounts, ``NAMESPACE/NAME``, that have a role by one."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    associations: set[str] = field(default_factory=set)
    region: str = "eu-west-1"

    def secret(self, name: str, region: str) -> str:
        """GetSecretValue. Raises AwsError."""
        if region != self.region or name not in self.secrets:
            raise AwsError("ResourceNotFoundException: Secrets Manager can't find the specified secret.")
        return self.secrets[name]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for a mount: the pod's service account with its annotations, and the labels of its node."""

    namespace: str
    service_account: str
    annotations: Mapping[str, str]
    node_labels: Mapping[str, str]
