"""What stays silent: seen before, the host's own, ignored; and what is lost."""

from __future__ import annotations

from collections.abc import Iterator

from sensor.node.capture.layout import Counter
from tests.kernels.inside.observer import Actor, Observer, make, touch

LOST_FILES = 1000


def dedup(observer: Observer, folder: str) -> str:
    """The second open is silent, in another mount namespace it is not; forgotten, it is told again."""
    path = f"{folder}/a.py"

    def act() -> Iterator[None]:
        make(path)
        for _ in range(3):
            touch(path)
            yield

    actor = Actor(act)
    seen = observer.counter(Counter.SEEN)
    event = observer.step(actor).event(path)
    assert observer.step(actor).below(folder) == []
    assert observer.counter(Counter.SEEN) > seen
    observer.capture.forget(event)
    assert observer.step(actor).below(folder) == [path]
    actor.end()
    assert observer.run(lambda: touch(path)).below(folder) == [path]
    return "silent until forgotten"


def host_filter(observer: Observer, folder: str) -> str:
    """Nothing of the host's own mount namespace is told."""
    before = observer.counter(Counter.HOST)

    def act() -> None:
        make(f"{folder}/a.py")
        touch(f"{folder}/a.py")

    observed = observer.run(act, private=False)
    assert observed.events == (), observed.events
    assert observer.counter(Counter.HOST) > before
    return "silent, and counted"


def ignored(observer: Observer, folder: str) -> str:
    """A mount namespace that user space gave up is silent until it is heeded again."""

    def act() -> Iterator[None]:
        for number in range(3):
            make(f"{folder}/{number}/a.py")
        for number in range(3):
            touch(f"{folder}/{number}/a.py")
            yield

    actor = Actor(act)
    event = observer.step(actor).event(f"{folder}/0/a.py")
    before = observer.counter(Counter.IGNORED)
    assert observer.capture.ignore(event)
    assert observer.step(actor).below(folder) == []
    assert observer.counter(Counter.IGNORED) == before + 1
    observer.capture.heed(actor.mount_namespace)
    assert observer.step(actor).below(folder) == [f"{folder}/2/a.py"]
    actor.end()
    return "silent until heeded"


def loss(observer: Observer, folder: str) -> str:
    """What the ring cannot hold is counted and told by process, and comes again at its next open."""
    paths = [f"{folder}/{number}/a.py" for number in range(LOST_FILES)]

    def act() -> Iterator[None]:
        for path in paths:
            make(path)
        while True:
            for path in paths:
                touch(path)
            yield

    actor = Actor(act)
    observer.capture.take_losses()
    before = observer.counter(Counter.RING_FULL)
    first = observer.step(actor, listen=False)
    heard = set(first.below(folder))
    lost = observer.capture.take_losses().get((first.mount_namespace, first.pid), 0)
    assert 0 < len(heard) < LOST_FILES, f"{len(heard)} of {LOST_FILES} heard"
    assert len(heard) + lost == LOST_FILES, f"{len(heard)} heard and {lost} lost of {LOST_FILES}"
    counted = observer.counter(Counter.RING_FULL) - before
    assert counted >= lost, f"{counted} counted, {lost} named"
    again: list[str] = []
    for _ in range(LOST_FILES // 100):  # so small a ring may be full again before it is read
        again += observer.step(actor).below(folder)
        if not observer.capture.take_losses():
            break
    actor.end()
    assert sorted(again) == sorted(set(paths) - heard), f"{len(again)} of {lost} came again"
    return f"{lost} of {LOST_FILES} lost, counted and named; all told at a later open"
