"""Defects of ours to Sentry, where SENTRY_DSN asks for it. The only code that knows sentry_sdk.

What leaves the node is built here from a traceback, by a list of what may leave: the types of the
exceptions, and of each frame module, function and line, with the file where it is one of ours (relative
to ``sensor/``). Messages never: what an exception says may hold the name of a container, a path or a
token, and no rule tells those from other words. Neither do locals, source lines, breadcrumbs, arguments,
environment or host name.

Reported are exceptions that nobody caught, in every thread, and those that a loop of ours survived and
logged. At most ten an hour, each place once.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

log = logging.getLogger(__name__)

MOST_AN_HOUR = 10
_HOUR = 3600.0
_SHUTDOWN = 1.2
"""Seconds that an end of the program waits for what was not sent yet; with what closing costs, under 2."""
_MOST_FRAMES = 64
_MOST_CHAINED = 8
_PACKAGE = Path(__file__).parents[1]
_LEAVES = ("event_id", "timestamp", "platform", "level", "release", "exception", "sdk")


def set_up(dsn: str | None, release: str) -> None:
    """Report from now on to ``dsn``, ``https://KEY@HOST/PROJECT``. Nothing is loaded where that is empty.

    ``release`` is the sensor's version. A DSN that is none is a warning in the log, which does not show it.
    Costs 14 MiB of resident memory, 5 where a transport has loaded urllib3 or gRPC. To be called once.
    """
    if not dsn:
        return
    try:
        client = _client(dsn, release)
    except ValueError:  # sentry_sdk.utils.BadDsn, whose text has the DSN
        log.warning(
            "SENTRY_DSN: found no DSN, expected https://KEY@HOST/PROJECT, as the settings of a project in "
            "Sentry show it; crashes are not reported"
        )
        return
    Crashes(client.capture_event).watch()
    atexit.register(client.close, timeout=_SHUTDOWN)


def _client(dsn: str, release: str) -> Any:
    import sentry_sdk  # noqa: PLC0415 - 14 MiB, for those who ask for it

    # No integrations: each brings something along (argv, modules, log texts) or patches what is not ours.
    # send_default_pii is deprecated, and off where it is not given.
    return sentry_sdk.Client(
        dsn,
        release=f"runtime-sensor@{release}",
        default_integrations=False,
        auto_enabling_integrations=False,
        before_send=_only_what_may_leave,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
        # What is None here is taken from the environment, the host name or the working directory.
        server_name="",
        environment="production",
        project_root=str(_PACKAGE),
        debug=False,
        spotlight=False,
        auto_session_tracking=False,
        send_client_reports=False,
        enable_backpressure_handling=False,
        enable_metrics=False,
        transport_queue_size=MOST_AN_HOUR,
    )


def _only_what_may_leave(event: Any, _hint: Any) -> Any:
    """The last word before an event is sent: drops whatever the library has added."""
    return {key: event[key] for key in _LEAVES if key in event}


class Crashes:
    """Hands exceptions to ``send`` as events without what must not leave. ``clock``: monotonic seconds."""

    def __init__(self, send: Callable[[Any], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: deque[tuple[float, str]] = deque(maxlen=MOST_AN_HOUR)

    def watch(self) -> None:
        """Report what nobody catches and what is logged with its exception, from now on."""
        uncaught, uncaught_in_thread = sys.excepthook, threading.excepthook

        def on_uncaught(
            kind: type[BaseException], error: BaseException, traceback: TracebackType | None
        ) -> None:
            self.report(error, "fatal")
            uncaught(kind, error, traceback)

        def on_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
            self.report(args.exc_value, "fatal")
            uncaught_in_thread(args)

        sys.excepthook, threading.excepthook = on_uncaught, on_uncaught_in_thread
        logging.getLogger("sensor").addHandler(_LoggedExceptions(self))

    def report(self, error: BaseException | None, level: str) -> None:
        """Never raises. An end that was asked for, such as KeyboardInterrupt, is no crash."""
        if not isinstance(error, Exception):
            return
        try:
            event = {"level": level, "platform": "python", "exception": {"values": _chain(error)}}
            if self._may_send(str(event["exception"])):
                self._send(event)
        except Exception as failure:  # noqa: BLE001 - whatever crashed must go on to its own handler
            log.warning("a crash could not be reported: %s", type(failure).__name__)

    def _may_send(self, place: str) -> bool:
        with self._lock:
            now = self._clock()
            while self._sent and now - self._sent[0][0] >= _HOUR:
                self._sent.popleft()
            if len(self._sent) == MOST_AN_HOUR or any(place == sent for _, sent in self._sent):
                return False
            self._sent.append((now, place))
            return True


class _LoggedExceptions(logging.Handler):
    """``log.exception`` at the edge of a loop: a defect that was survived. Its text stays here."""

    def __init__(self, crashes: Crashes) -> None:
        super().__init__(logging.ERROR)
        self._crashes = crashes

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._crashes.report(record.exc_info[1], "error")


def _chain(error: BaseException) -> list[dict[str, Any]]:
    """The exception and what it came of, the oldest first as Sentry wants them."""
    return [_exception(one) for one in _causes(error)][::-1]


def _causes(error: BaseException) -> Iterator[BaseException]:
    met: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in met and len(met) < _MOST_CHAINED:
        met.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _exception(error: BaseException) -> dict[str, Any]:
    """https://develop.sentry.dev/sdk/data-model/event-payloads/exception/, without ``value``."""
    frames = deque(_frames(error.__traceback__), maxlen=_MOST_FRAMES)
    return {
        "type": type(error).__qualname__,
        "module": type(error).__module__,
        "stacktrace": {"frames": list(frames)},
    }


def _frames(traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = _own_file(code.co_filename)
        yield {
            "module": str(traceback.tb_frame.f_globals.get("__name__")),
            "function": code.co_qualname,
            "lineno": traceback.tb_lineno,
            "in_app": file is not None,
        } | ({"filename": file} if file else {})
        traceback = traceback.tb_next


def _own_file(path: str) -> str | None:
    """``sensor/node/main.py``; None for what is not ours."""
    try:
        return str(Path("sensor", Path(path).relative_to(_PACKAGE)))
    except ValueError:
        return None
