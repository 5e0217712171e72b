"""Faults that are asked for, so that clients can be seen to survive them: rules, and which one strikes."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_RULES = 100
UNTOUCHED = ("/control/", "/healthz")
"""Never struck: who asked for a fault must be able to end it."""

CUTS = ("before", "after", "half")
GRPC_CODES = (
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_LONGEST = 600.0
"""Seconds."""


class FaultError(ValueError):
    """The text says what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Times are seconds. What is asked for together happens in this order."""

    latency: float = 0.0
    cut: str | None = None
    """``before`` anything is stored, ``after``, before the answer; ``half`` way through the answer."""
    grpc_code: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_info: float | None = None
    drip: float | None = None
    """Bytes a second of the answer."""


@dataclass(slots=True)
class _Rule:
    path: str
    token: str | None = field(repr=False)
    times: int | None
    fault: Fault
    given: Mapping[str, Any]
    struck: int = 0


class Faults:
    """Used in the event loop only."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def replace(self, found: Any) -> None:
        """By a list as JSON has it. Raises :class:`FaultError`, and then changes nothing."""
        if not isinstance(found, list) or len(found) > MAX_RULES:
            raise FaultError(f"expected a list of at most {MAX_RULES} rules")
        self._rules = [_rule(number, one) for number, one in enumerate(found, 1)]

    def listed(self) -> list[dict[str, Any]]:
        """The rules as they were given, tokens left out, and how often each struck."""
        return [{**rule.given, "struck": rule.struck} for rule in self._rules]

    def strike(self, path: str, token: str | None, *, grpc: bool) -> Fault | None:
        """The fault of the first rule that matches and is not used up; counts it."""
        if path.startswith(UNTOUCHED):
            return None
        for rule in self._rules:
            if _matches(rule, path, token, grpc=grpc):
                rule.struck += 1
                return rule.fault
        return None


def _matches(rule: _Rule, path: str, token: str | None, *, grpc: bool) -> bool:
    if rule.times is not None and rule.struck >= rule.times:
        return False
    if (rule.fault.status is not None and grpc) or (rule.fault.grpc_code is not None and not grpc):
        return False
    if rule.token is not None and not hmac.compare_digest(_bytes(rule.token), _bytes(token or "")):
        return False
    return path.startswith(rule.path)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a header's bytes that are no UTF-8 come as halves of pairs


def _rule(number: int, found: Any) -> _Rule:
    wrong = f"rule {number}: "
    rule = _Object(wrong, found, "match", "times", "fault", "retry_info_s")
    match = _Object(wrong, rule.get("match", dict, {}), "path", "token")
    fault = _Object(
        wrong,
        rule.get("fault", dict, {}),
        "grpc_code",
        "status",
        "headers",
        "latency_ms",
        "cut",
        "drip_bytes_per_s",
    )
    headers = fault.get("headers", dict, {})
    if not all(isinstance(v, str) and k and (k + v).isprintable() for k, v in headers.items()):
        raise FaultError(f"{wrong}headers: expected printable texts")
    given = {**found, "match": {k: v for k, v in match.found.items() if k != "token"}}
    latency, retry = fault.number("latency_ms", 0, _LONGEST * 1000), rule.number("retry_info_s", 0, 86_400)
    status, times = fault.number("status", 200, 599), rule.number("times", 1, 10**9)
    return _Rule(
        path=match.get("path", str, "/"),
        token=match.get("token", str, None),
        times=None if times is None else int(times),
        fault=Fault(
            latency=(latency or 0.0) / 1000,
            cut=fault.choice("cut", CUTS),
            grpc_code=fault.choice("grpc_code", GRPC_CODES),
            status=None if status is None else int(status),
            headers=headers,
            retry_info=retry,
            drip=fault.number("drip_bytes_per_s", 0.1, 1e9),
        ),
        given=given,
    )


class _Object:
    """A JSON object that may have these keys and no others; ``null`` is as good as absent."""

    def __init__(self, wrong: str, found: Any, *keys: str) -> None:
        if not isinstance(found, dict):
            raise FaultError(f"{wrong}expected an object with {', '.join(keys)}")
        if unknown := sorted(map(str, found.keys() - set(keys))):
            raise FaultError(f"{wrong}found {unknown[0]!r}, expected {', '.join(keys)}")
        self.found: dict[str, Any] = found
        self._wrong = wrong

    def get(self, key: str, kind: type, default: Any) -> Any:
        value = self.found.get(key)
        if value is not None and not isinstance(value, kind):
            raise FaultError(f"{self._wrong}{key}: expected {kind.__name__}")
        return default if value is None else value

    def number(self, key: str, least: float, most: float) -> float | None:
        value = self.found.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise FaultError(f"{self._wrong}{key}: expected a number from {least:g} to {most:g}")
        return float(value)

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        value = self.get(key, str, None)
        if value is not None and value not in choices:
            raise FaultError(f"{self._wrong}{key}: found {value!r}, expected one of {', '.join(choices)}")
        return value if value is None else str(value)
