"""Delivery by the public upstream of Snyk's Kubernetes monitor: what is loaded, then what is deployed."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from urllib3.exceptions import HTTPError

from sensor.delivery.destination import Batch, DeliveryError, Receipt, Temporary
from sensor.snyk import http_errors
from sensor.snyk.causes import Cause, cause_of
from sensor.snyk.deadline import within
from sensor.snyk.diagnosis import PROBE_SECONDS
from sensor.snyk.foreign_text import quotable
from sensor.snyk.https_exchange import Exchange
from sensor.snyk.https_form import has_results, runtime_results, workloads
from sensor.snyk.token import Token
from sensor.snyk.upstream import Upstream

_BASE = "/v2/kubernetes-upstream/api/v1"
RUNTIME_RESULTS = f"{_BASE}/runtime-results?version=2023-02-10"
WORKLOAD = f"{_BASE}/workload"
# A workload changes seldom and the containers of it often. It is told again well before the other side,
# which keeps it for 48 hours, forgets it.
_FRESH = 1800.0
_RECENT_BOUND = 4096
_SLICE = 256  # packages
# What the exception itself says too little of.
_VAGUE = (
    "reset",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_wrong_name",
)


class HttpsDestination:
    """Reports to one integration with one token. See :class:`sensor.delivery.destination.Destination`."""

    def __init__(self, upstream: Upstream, token: Token, user_locator: str) -> None:
        self._upstream = upstream
        self._token = token
        self._user_locator = user_locator
        self._exchange = Exchange(upstream)
        self._sent_with: int | None = None
        self._told = _Recent()

    def send(self, batch: Batch, timeout: float) -> Receipt:
        ends = time.monotonic() + timeout
        self._sent_with = self._token.version
        secret = self._token.value()
        problem: Exception
        try:
            with within(timeout - min(PROBE_SECONDS, timeout / 4)):
                return self._deliver(batch, secret)
        except (HTTPError, OSError, ValueError) as error:  # ValueError: what no host name can be
            problem = error
        self._exchange.close()
        raise self._unreachable(problem, secret, ends - time.monotonic())

    def credentials_changed(self) -> bool:
        return self._sent_with is not None and self._token.version != self._sent_with

    def close(self) -> None:
        self._exchange.close()

    def _deliver(self, batch: Batch, secret: str) -> Receipt:
        """What was taken over before a failure is not told again with the next try: a batch of many workloads
        gets on even where it does not fit into one time-out."""
        sent_bytes, ahead = 0, None
        for request in self._requests(batch):
            if self._told.has(request.key):
                continue
            asked_at = time.time()
            answer = self._exchange.post(request.path, request.body, self._headers(request, secret))
            if not http_errors.is_success(answer):
                raise http_errors.failure(answer, self._upstream.target, secret)
            self._told.add(request.key)
            sent_bytes += len(request.body)
            ahead = http_errors.clock_ahead(answer, asked_at)
        self._upstream.clock.saw(ahead)
        return Receipt(sent_bytes=sent_bytes, clock_ahead=ahead)

    def _requests(self, batch: Batch) -> Iterator[_Request]:
        """Loaded packages once for each batch, a workload once in a while; nothing for a mere list of what
        runs, of which this form has none."""
        if has_results(batch):
            document = runtime_results(batch, batch.sender_id, self._user_locator)
            yield _request(RUNTIME_RESULTS, document, batch.id)
        for document in workloads(batch, batch.sender_id, self._user_locator):
            yield _request(WORKLOAD, document)

    def _headers(self, request: _Request, secret: str) -> dict[str, str]:
        return {
            "Authorization": f"token {secret}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Accept": "application/json",
            "User-Agent": self._upstream.user_agent,
            "snyk-request-id": str(uuid.uuid4()),
            "idempotency-key": request.idempotency_key,
        }

    def _unreachable(self, error: Exception, secret: str, seconds: float) -> DeliveryError:
        target = self._upstream.target
        cause = cause_of(error, target)
        if (cause is None or cause.reason in _VAGUE) and seconds > 0:
            symptom = cause.reason if cause else type(error).__name__
            cause = self._upstream.diagnosis.cause(symptom, seconds) or cause
        if cause is None:
            said = quotable(f"{type(error).__name__}: {error}", secret)
            cause = Cause("failed", f"the connection failed, look at the server and the way to it ({said})")
        return Temporary(f"cannot deliver to {target.described}: {cause.text}", reason=cause.reason)


@dataclass(frozen=True, slots=True)
class _Request:
    """``body`` is compressed JSON. ``key`` tells one request from another, see :class:`_Recent`."""

    path: str
    body: bytes
    key: bytes

    @property
    def idempotency_key(self) -> str:
        """A UUID, the same for each try."""
        return str(uuid.UUID(bytes=self.key))


def _request(path: str, document: dict[str, Any], batch_id: str = "") -> _Request:
    text = _json(document).encode()
    key = hashlib.sha256(f"{path} {batch_id} ".encode() + text).digest()[:16]
    return _Request(path, gzip.compress(text, 6, mtime=0), key)


def _json(value: Any) -> str:
    """As json.dumps(), which holds the interpreter until all is written: 10 ms for a full batch."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_dumps(key)}:{_json(one)}' for key, one in value.items())}}}"
    if not isinstance(value, list):
        return _dumps(value)
    if value and isinstance(value[0], dict) and any(isinstance(one, list) for one in value[0].values()):
        return f"[{','.join(map(_json, value))}]"
    slices = (value[start : start + _SLICE] for start in range(0, len(value), _SLICE))
    return f"[{','.join(_dumps(part)[1:-1] for part in slices)}]"


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class _Recent:
    """Requests that were answered well not long ago."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def has(self, key: bytes) -> bool:
        return self._until.get(key, 0.0) > time.monotonic()

    def add(self, key: bytes) -> None:
        self._until[key] = time.monotonic() + _FRESH
        self._until.move_to_end(key)
        if len(self._until) > _RECENT_BOUND:
            self._until.popitem(last=False)
