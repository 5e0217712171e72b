"""Asks running processes what they have loaded, where no file that they open can tell.

Classes in a jar, modules in a zip, assemblies in a bundle, a packed executable: one open, many packages.
"""
