"""What can go wrong before the first event."""

from __future__ import annotations


class CaptureError(Exception):
    """Capture cannot start or go on.

    ``cure`` is the next step for the reader; ``log`` holds the last lines of compiler or verifier.
    """

    def __init__(self, problem: str, cure: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.cure = cure
        self.log = log

    def __str__(self) -> str:
        lines = "".join(f"\n  | {line}" for line in self.log)
        return f"{self.args[0]}{lines}\n  what to do: {self.cure}"
