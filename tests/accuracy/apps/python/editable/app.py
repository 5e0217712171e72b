"""A monorepo: four projects installed for development, each by another way, and one that nobody imports."""

from __future__ import annotations

import mono_egglink
import mono_finder
import mono_hatch.deep
import mono_src
import told

assert mono_egglink and mono_finder and mono_hatch.deep and mono_src
told.tell()
