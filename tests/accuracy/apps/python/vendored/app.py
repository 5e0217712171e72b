"""Copies inside other distributions: pip's, setuptools' and botocore's count as their hosts."""

from __future__ import annotations

import setuptools  # before anything imports distutils

# isort: split
import botocore.vendored.requests.exceptions
import pip._vendor.packaging.version
import pip._vendor.requests
import told

assert setuptools.__version__
assert pip._vendor.requests.__file__ != botocore.vendored.requests.exceptions.__file__
import setuptools._vendor.more_itertools  # noqa: E402 - as a copy, under its host's name
import setuptools.command.bdist_wheel  # noqa: E402 - which looks for "packaging" and finds the copy

told.tell()
