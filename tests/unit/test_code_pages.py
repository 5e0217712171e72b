"""Giving back what the start has mapped: how often, of which mappings, and that all goes on to work."""

from __future__ import annotations

import subprocess
import sys

from sensor.node import code_pages
from sensor.node.code_pages import FIRST_AFTER, LONGEST, CodePages

SMAPS = """\
00400000-00500000 r-xp 00000000 08:01 42                                 /usr/bin/python3.11
Rss:                1024 kB
Anonymous:             0 kB
00500000-00600000 r--p 00100000 08:01 42                                 /usr/bin/python3.11
Rss:                1024 kB
Anonymous:             4 kB
00600000-00700000 rw-p 00200000 08:01 42                                 /usr/bin/python3.11
Anonymous:             0 kB
00700000-00800000 r--p 00000000 08:01 43                                 /usr/lib/my library.so (deleted)
Anonymous:             0 kB
00800000-00900000 r--s 00000000 08:01 44                                 /var/lib/gconv.cache
Anonymous:             0 kB
00900000-00a00000 r--p 00000000 00:00 0
Anonymous:             0 kB
00a00000-00b00000 r-xp 00000000 00:00 0                                  [vdso]
Anonymous:             0 kB
"""


def test_only_files_that_were_not_changed_are_given_back() -> None:
    assert list(code_pages._unchanged(SMAPS)) == [(0x400000, 0x500000), (0x700000, 0x800000)]


def test_it_becomes_rarer() -> None:
    pages = CodePages(100.0)
    turns = [float(second) for second in range(100, 100 + 4 * int(LONGEST)) if pages.turn(float(second))]
    assert turns[:4] == [
        100 + FIRST_AFTER,
        100 + 3 * FIRST_AFTER,
        100 + 7 * FIRST_AFTER,
        100 + 15 * FIRST_AFTER,
    ]
    assert turns[-1] - turns[-2] == LONGEST


def test_a_process_goes_on_with_less() -> None:
    program = (
        "import ssl, sqlite3, json\n"
        "from sensor.node.code_pages import give_back\n"
        "def resident():\n"
        "    return int(open('/proc/self/status').read().partition('RssFile:')[2].split()[0])\n"
        "before = resident(); give_back(); after = resident()\n"
        "assert sqlite3.connect(':memory:').execute('SELECT 1').fetchone() == (1,)\n"
        "assert ssl.create_default_context() and json.loads('[1]') == [1]\n"
        "print(before, after)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, told.stdout.split())
    assert after < 0.8 * before
