"""Follows the pods of a node, or of the cluster: list, then watch, for ever.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from sensor.kube.api_server import ApiServer
from sensor.kube.body import Body
from sensor.kube.deadline import become_idle_after
from sensor.kube.errors import Forbidden, Gone, KubeError, Malformed, Unreachable
from sensor.kube.explain import FUTURE_VERSION, Asked, status_failed
from sensor.kube.list_stream import malformed
from sensor.kube.nested import document
from sensor.kube.pace import Pace
from sensor.kube.pod_store import PodStore
from sensor.kube.pods import pod
from sensor.kube.resource import PODS, Rule

PAGE = 500
MOST_PAGES = 1000
MOST_LINE = 4 << 20
"""Bytes; etcd takes objects of 1.5 MiB."""
PODS_RULE = Rule("", "pods", ("get", "list", "watch"))
REFUSALS = 6
"""So many in a row mean that a right is missing; by then some 9 s have passed."""
_FROM_CACHE = "0"
# A server that has sent one bookmark sends one about every minute from then on.
_BOOKMARKS_MISSING = 180.0
_STEADY = 5.0
"""Seconds after which a watch was one, and not a failure."""

log = logging.getLogger(__name__)


class PodWatch(threading.Thread):
    """Fills ``store``. Never gives up: a server that is away, or a right that is missing, is said once.

    A list of a node's pods is served from the API server's memory (``resourceVersion`` is given), since a
    consistent one makes it read all pods of the cluster from etcd. The list of all is consistent and paged:
    with a ``resourceVersion`` the limit would be ignored.
    """

    def __init__(
        self, api: ApiServer, store: PodStore, node: str | None, *, pace: Pace | None = None
    ) -> None:
        """``node`` is ``None`` for all pods of the cluster."""
        super().__init__(name="pods", daemon=True)
        self.counters = api.counters
        self._api = api
        self._store = store
        self._node = node
        self._pace = pace or Pace(start_spread=0.0 if node is None else 2.0)
        self._stopping = threading.Event()
        self._body: Body | None = None
        self._version = ""
        self._list_from = _FROM_CACHE
        self._listed = False
        self._line_missing = False
        self._complaint = ""
        self._refusals = 0
        self._expired = 0

    def run(self) -> None:
        wait = self._pace.start()
        while not self._stopping.wait(wait):
            wait = self.once()

    def stop(self, timeout: float) -> None:
        """End now, even in the middle of a watch."""
        self._stopping.set()
        if (body := self._body) is not None:
            body.abort()
        self.join(timeout)

    def once(self) -> float:
        """List where that is needed, watch until the watch ends, and return how long to wait then."""
        try:
            if not self._version:
                self._list()
                self._answers()
            return self._watch()
        except Forbidden as error:
            return self._forbidden(error)
        except Gone:
            # Of many nodes at once, after etcd was compacted or the server restarted.
            self._version = ""
            self._expired += 1
            return self._pace.cut() if self._expired == 1 else max(self._pace.cut(), self._pace.failed())
        except KubeError as error:
            if self._stopping.is_set():
                return 0.0
            if error.reason == FUTURE_VERSION:
                # etcd was restored from a backup, or this server lags behind the last one.
                self._version, self._list_from = "", _FROM_CACHE
            elif isinstance(error, Malformed):
                self._version = ""  # asked for the same again, it would answer the same
            self._complain(error)
            return self._pace.failed(error.retry_after if isinstance(error, Unreachable) else None)
        except Exception:
            self.counters.failures += 1
            log.exception("cannot follow the pods; it is tried again")
            self._version = ""
            return self._pace.failed()

    def _forbidden(self, error: Forbidden) -> float:
        """A few prove nothing: a server that has just started answers 403 until it has read its roles."""
        self._refusals += 1
        if self._refusals < REFUSALS:
            return self._pace.cut()
        self._complain(error)
        return self._pace.forbidden()

    def _list(self) -> None:
        if self._listed:
            self.counters.relists += 1
        self._listed = True
        seen: set[str] = set()
        version, token = self._page(self._from(), seen)
        pages = 1
        while token and not self._stopping.is_set():
            version, token = self._page(self._selected() | {"limit": str(PAGE), "continue": token}, seen)
            if (pages := pages + 1) > MOST_PAGES:
                raise malformed(f"it has more than {MOST_PAGES} pages")
        self._version = self._list_from = version
        self._line_missing = False

    def _from(self) -> dict[str, str]:
        if self._node is None:
            return {"limit": str(PAGE)}
        # At least as new as what was seen, be it by another server: time must not go backwards.
        return self._selected() | {"resourceVersion": self._list_from}

    def _selected(self) -> dict[str, str]:
        return {} if self._node is None else {"fieldSelector": f"spec.nodeName={self._node}"}

    def _page(self, parameters: dict[str, str], seen: set[str]) -> tuple[str, str]:
        """Return the list's version and the token of the next page. Pods that were not seen are gone once
        there is none."""
        with self._api.listing(PODS, parameters) as items:
            for item in items:
                found = pod(item, self.counters.dropped)
                if found is not None:
                    seen.add(found.uid)
                    self._store.put(found)
        if not items.next_page:
            self._store.keep_only(seen)
        return items.resource_version, items.next_page

    def _watch(self) -> float:
        seconds = self._pace.watch()
        parameters = self._selected() | {"resourceVersion": self._version, "allowWatchBookmarks": "true"}
        began, events = time.monotonic(), self.counters.events
        try:
            with self._api.watching(PODS, parameters, seconds) as self._body:
                if self._stopping.is_set():
                    return 0.0
                self._answers()
                self._follow(self._body)
        finally:
            self._body = None
            lasted = time.monotonic() - began
            self.counters.watch_restarts += 1
            if self._line_missing:
                self._version = ""
            if lasted >= _STEADY or self.counters.events > events:
                self._pace.succeeded()
                self._expired = 0
        if lasted >= seconds - 1:
            return 0.0
        return self._pace.cut() if lasted >= _STEADY else max(self._pace.cut(), self._pace.failed())

    def _follow(self, body: Body) -> None:
        """Until it ends. A cut is nothing to tell people: the next request shows why."""
        try:
            for line in body.lines(MOST_LINE, self._missed_a_line):
                if line.strip():
                    self._apply(line)
        except Unreachable as error:
            if error.reason == FUTURE_VERSION:
                raise
            log.debug("the watch ended early: %s", error)

    def _apply(self, line: bytes) -> None:
        try:
            event: Any = document(line)
            kind, found = event["type"], event["object"]
        except (ValueError, TypeError, KeyError):
            raise Malformed(
                "the API server's watch sent a line that is no event: look at the server and proxies between",
                reason="malformed",
            ) from None
        if kind == "ERROR":
            self._version = ""  # as client-go: from there it would say so again
            raise self._error(found)
        self._store.touch()
        if kind == "BOOKMARK":
            become_idle_after(_BOOKMARKS_MISSING)
        else:
            self.counters.events += 1
            self._change(kind, found)
        if version := _version(found):
            self._version = self._list_from = version

    def _change(self, kind: object, found: object) -> None:
        changed = pod(found, self.counters.dropped)
        if changed is None:
            return
        if kind == "DELETED":
            self._store.remove(changed.uid)
        elif kind in ("ADDED", "MODIFIED"):
            self._store.put(changed)

    def _error(self, status: object) -> KubeError:
        """An object ``Status`` in place of a pod."""
        fields = status if isinstance(status, dict) else {}
        code, said = fields.get("code"), self._api.quotable(fields.get("message"))
        asked = Asked("cannot watch pods at the API server", PODS_RULE)
        return status_failed(code if isinstance(code, int) else 500, said, asked)

    def _missed_a_line(self) -> None:
        """What it told is known only after a list; at the end of this watch, lest a pod that is too large
        be listed without end."""
        self.counters.dropped["line"] += 1
        self._line_missing = True

    def _complain(self, error: KubeError) -> None:
        if error.reason != self._complaint:
            self._complaint = error.reason
            log.warning("%s; until then nothing is known of pods from the API server", error)

    def _answers(self) -> None:
        self._refusals = 0
        if self._complaint:
            self._complaint = ""
            log.info("the API server answers again")


def _version(found: object) -> str:
    metadata = found.get("metadata") if isinstance(found, dict) else None
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) and len(version) <= 64 and version.isprintable() else ""
