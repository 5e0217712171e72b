"""Opened file -> package. One module per language behind ``interface.Resolver``.

Resolvers read containers through ``rootfs`` only, never write, never run anything, and return
"could not" as a value (:class:`sensor.model.package.Skipped`).
"""
