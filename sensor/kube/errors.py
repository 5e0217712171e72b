"""How asking the API server fails.

KubeError             this request failed
├── Unconfigured      no way to an API server is known here
├── Unreachable       no connection, no answer in time, cut, or the server is busy: worth another try
├── Untrusted         TLS: its certificate, or ours
├── Unauthorized      401: the token
├── Forbidden         403: a rule of RBAC is missing, ``rule``
├── NotFound          404
├── Gone              410: what was asked for is older than what the server remembers
└── Malformed         no answer of a Kubernetes API server, or one beyond every bound

Every text is for people: what was found, what was expected, what to do. None holds a token.
"""

from __future__ import annotations

from sensor.kube.resource import Rule


class KubeError(Exception):
    """``reason`` is a short name for metrics, of a bounded set: ``timed_out``, ``403`` …"""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unconfigured(KubeError):
    pass


class Unreachable(KubeError):
    """``retry_after`` is seconds from now, ``None`` where the server did not say."""

    def __init__(self, message: str, *, reason: str, retry_after: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Untrusted(KubeError):
    pass


class Unauthorized(KubeError):
    pass


class Forbidden(KubeError):
    def __init__(self, message: str, *, reason: str, rule: Rule) -> None:
        super().__init__(message, reason=reason)
        self.rule = rule


class NotFound(KubeError):
    pass


class Gone(KubeError):
    pass


class Malformed(KubeError):
    pass
