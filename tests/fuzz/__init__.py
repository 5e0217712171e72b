"""Hostile bytes for every parser of foreign formats."""
