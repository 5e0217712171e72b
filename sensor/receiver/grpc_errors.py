"""How gRPC calls fail: google.rpc.Status with details, as the head of reports.proto has it."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DOMAIN = "runtime-sensor"


@dataclass(frozen=True, slots=True)
class Failure(Exception):
    """``message`` is for people."""

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...] = ()

    def metadata(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata that carries the details."""
        status = Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def token_unknown() -> Failure:
    return Failure(
        grpc.StatusCode.UNAUTHENTICATED,
        "found no token that is known, expected one in the metadata: authorization: token TOKEN",
        (ErrorInfo(reason="TOKEN_UNKNOWN", domain=DOMAIN),),
    )


def permission_missing(permission: str, group: str | None = None) -> Failure:
    lacks = f"the token lacks the permission {permission}" + (
        f" for the group {group!r}" if group is not None else ""
    )
    metadata = {"permission": permission} | ({} if group is None else {"group": group})
    return Failure(
        grpc.StatusCode.PERMISSION_DENIED,
        lacks,
        (ErrorInfo(reason="PERMISSION_MISSING", domain=DOMAIN, metadata=metadata),),
    )


def malformed(field: str, problem: str) -> Failure:
    return Failure(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"{field}: {problem}" if field else problem,
        (BadRequest(field_violations=[BadRequest.FieldViolation(field=field, description=problem)]),),
    )


def too_large(problem: str) -> Failure:
    return Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, problem)


def unavailable(problem: str, retry_after: float) -> Failure:
    return Failure(grpc.StatusCode.UNAVAILABLE, problem, (retry_info(retry_after),))


def retry_info(seconds: float) -> RetryInfo:
    return RetryInfo(
        retry_delay=Duration(seconds=int(seconds), nanos=int((seconds - int(seconds)) * 1_000_000_000))
    )
