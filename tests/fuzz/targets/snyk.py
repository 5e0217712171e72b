"""What a server, or a proxy on the way, answers: statuses, headers, bodies, details of gRPC's."""

from __future__ import annotations

from sensor.delivery.destination import DeliveryError, Temporary
from sensor.snyk import grpc_errors, http_errors
from sensor.snyk.http_errors import Answer
from sensor.snyk.target import Target as Address
from tests.fuzz.target import Target

_SECRET = "token-0123456789abcdef"
_CODES = (
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", "of a later version",
)  # fmt: skip


def _http(data: bytes) -> None:
    """A status of three digits, then as on the wire: headers, an empty line, the body."""
    head, _, body = data[3:].partition(b"\n\n")
    lines = (line.partition(": ") for line in head.decode("latin-1").splitlines())
    headers = {name.lower(): value for name, _, value in lines}
    digits = data[:3]
    status = int(digits) if digits.isdigit() and int(digits) >= 100 else 503
    answer = Answer(status, headers, body[:65_536], 1_700_000_000.0)
    for target in (Address("h", 443, "https"), Address("h", 80, "https", tls=False)):
        _check(http_errors.failure(answer, target, _SECRET))
    http_errors.clock_ahead(answer, 1_700_000_000.0)


def _grpc(data: bytes) -> None:
    """Which code, then google.rpc.Status serialised."""
    code, details = _CODES[data[0] % len(_CODES)] if data else "UNKNOWN", data[1:]
    found = grpc_errors.details_of([("grpc-status-details-bin", details)], _SECRET)
    _check(grpc_errors.failure(code, details.decode("utf-8", "replace"), found, "h:443", _SECRET))


def _check(error: DeliveryError) -> None:
    text = str(error)
    assert text.isprintable() and len(text) < 2000, text
    assert _SECRET not in text
    assert error.reason.isprintable() and len(error.reason) < 40
    if isinstance(error, Temporary) and error.retry_after is not None:
        assert 0 <= error.retry_after <= grpc_errors.MAX_RETRY_AFTER


TARGETS: tuple[Target, ...] = (
    Target("snyk_http", "sensor.snyk.http_errors", _http),
    Target("snyk_grpc", "sensor.snyk.grpc_errors", _grpc),
)
