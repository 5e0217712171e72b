"""Tests by what they need: ``unit`` nothing, ``kernel`` and ``containers`` root; and the tools they use."""
