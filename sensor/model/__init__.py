"""Frozen dataclasses that cross rooms. Standard library only; imports nothing else of ours."""
