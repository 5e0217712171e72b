"""What can go wrong with the cluster."""

from __future__ import annotations


class KubernetesError(Exception):
    """The cluster does not run; the message says what was found, what was expected and what to do next."""
