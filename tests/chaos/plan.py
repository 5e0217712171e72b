"""Who is killed when, and for how long it stays away. Pure: a seed gives the same plan again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

AGENT, RECEIVER = "agent", "receiver"
_VICTIMS: tuple[frozenset[str], ...] = (
    frozenset({AGENT}),
    frozenset({RECEIVER}),
    frozenset({AGENT, RECEIVER}),
)
_VICTIM_WEIGHTS = (40, 40, 20)
# In the middle of a start; while it does its first work; once it has long come to rest.
_DELAYS = ((0.0, 0.6), (0.6, 2.5), (2.5, 7.0))
_DELAY_WEIGHTS = (35, 40, 25)
_AT_ONCE = 0.6
_LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """``delay`` seconds after the round before, ``victims`` are killed; each is away for its pause."""

    number: int
    delay: float
    victims: frozenset[str]
    pauses: dict[str, float]


def rounds(count: int, seed: int) -> Iterator[Round]:
    """``count`` rounds, about 1.9 s each on average; numbered from 1."""
    dice = random.Random(seed)
    for number in range(1, count + 1):
        least, most = dice.choices(_DELAYS, _DELAY_WEIGHTS)[0]
        delay = dice.uniform(least, most)
        victims = dice.choices(_VICTIMS, _VICTIM_WEIGHTS)[0]
        pauses = {
            name: 0.0 if dice.random() < _AT_ONCE else dice.uniform(0.05, _LONGEST_PAUSE)
            for name in (AGENT, RECEIVER)
        }
        yield Round(number, delay, victims, pauses)
