"""Every case of the corpus, through the resolver that the sensor itself asks."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from pathlib import Path

import pytest

from sensor.model.package import Skipped
from sensor.node.resolve.interface import ProgramResolver, Resolver
from sensor.node.rootfs import RootFilesystem
from tests.edges.case import Case, Expected, Link

LANGUAGES = ("python", "node", "java", "go", "dotnet")
CORPORA = {language: importlib.import_module(f"tests.edges.{language}") for language in LANGUAGES}
CASES = [(language, case) for language, module in CORPORA.items() for case in module.CASES]


def lay_out(case: Case, folder: Path) -> None:
    for name, content in case.files.items():
        target = folder / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            target.symlink_to(content.target)
        else:
            target.write_bytes(content)
            if name in case.modes:
                target.chmod(case.modes[name])


def resolved(case: Case, resolver: Resolver | ProgramResolver, root: RootFilesystem) -> object:
    if case.executed:
        result = resolver.resolve_program(root, case.path)  # type: ignore[union-attr]
    elif not resolver.claims(case.path):  # type: ignore[union-attr]
        return "not claimed"
    else:
        result = resolver.resolve(root, case.path)  # type: ignore[union-attr]
    if isinstance(result, Skipped):
        return str(result.reason)
    return Counter(
        Expected(use.package.purl, use.package.snyk.name, use.package.snyk.version, str(use.evidence))
        for use in result
    )


@pytest.mark.parametrize(
    ("language", "case"), CASES, ids=[f"{language}: {case.name}" for language, case in CASES]
)
def test_case(language: str, case: Case, tmp_path: Path) -> None:
    lay_out(case, tmp_path)
    descriptor = os.open(tmp_path, os.O_PATH)
    try:
        root = RootFilesystem(descriptor)
        expected = case.expected if isinstance(case.expected, str) else Counter(case.expected)
        assert resolved(case, CORPORA[language].resolver(), root) == expected, case.rule
    finally:
        os.close(descriptor)


def test_corpus_is_whole() -> None:
    assert len(CASES) >= 120
    assert min(len(module.CASES) for module in CORPORA.values()) >= 28
    assert len({(language, case.name) for language, case in CASES}) == len(CASES), "a name is used twice"
    for language, case in CASES:
        assert len(case.rule) > 10, f"{language}: {case.name} does not say where its rule comes from"
