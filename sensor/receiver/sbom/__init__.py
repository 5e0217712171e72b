"""Uploaded lists of what an image holds: parsed, bounded, kept beside the image.

``purl``       package URLs in one form, and what makes two of them the same package
``reference``  image names in one form
``document``   bytes -> :class:`Sbom`, whichever format;  ``cyclonedx``, ``spdx``  a format each
``store``      into the database
"""
