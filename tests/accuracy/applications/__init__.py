"""The applications of the yardstick: a module per language, each with ``APPLICATIONS``.

Nothing is imported here, so that one language's defect costs the others nothing: see ``catalogue``.
"""
