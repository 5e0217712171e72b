"""The chart as a package: lint, what it says after an install, its README and its texts."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import sensor
from tests.charts import rendered
from tests.charts.helm_program import CHARTS, NAMESPACE, NEWEST, OLD, RELEASE, ROOT, HelmError, run, template
from tests.charts.manifests import Manifest, container, of_kind, parse, workload
from tests.charts.readme import readme, values_of


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
@pytest.mark.parametrize("name", [NEWEST, OLD])
def test_lint(chart: Path, name: str) -> None:
    run(["lint", "--strict", chart], name)


def test_lint_sees_a_chart_that_is_broken(tmp_path: Path) -> None:
    chart = rendered.copied(tmp_path)
    (chart / "templates/workload.yaml").write_text("kind: {{ .Values.nothing.at.all }}\n")
    with pytest.raises(HelmError):
        run(["lint", "--strict", chart])


def test_helm_3_8_renders_the_same() -> None:
    for values in ({}, {"workloadType": "deployment"}, {"secretProvider": "aws"}):
        options = [f"--set={key}={value}" for key, value in values.items()]
        old = template(rendered.CHART, {}, *options, "--kube-version=v1.27.0", name=OLD)
        assert parse(old) == parse(template(rendered.CHART, {}, *options, "--kube-version=v1.27.0"))


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_the_readme_is_what_the_values_say(chart: Path) -> None:
    assert (chart / "README.md").read_text() == readme(chart), "run python -m tests.charts.readme"


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_value_has_a_text_and_a_place_in_the_schema(chart: Path) -> None:
    texts = {value.path for value in values_of(chart)}
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())
    assert [path for path in _leaves(defaults) if not _prefixes(path) & texts] == []
    assert [path for path in _leaves(defaults) if not _is_in(schema, path.split("."), schema)] == []
    assert set(schema["properties"]) - set(defaults) == {"global"}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_object_of_the_schema_is_closed(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    assert [path for path in _open_objects(schema, "") if path != "/definitions/volume"] == []


def _leaves(found: Any, path: str = "") -> Iterator[str]:
    for key, each in found.items():
        inner = f"{path}.{key}".removeprefix(".")
        if isinstance(each, dict) and each:
            yield from _leaves(each, inner)
        else:
            yield inner


def _prefixes(path: str) -> set[str]:
    keys = path.split(".")
    return {".".join(keys[:length]) for length in range(1, len(keys) + 1)}


def _is_in(found: dict[str, Any], keys: list[str], whole: dict[str, Any]) -> bool:
    if "$ref" in found:
        found = whole["definitions"][found["$ref"].rpartition("/")[2]]
    if not keys:
        return True
    inner = found.get("properties", {}).get(keys[0]) or found.get("additionalProperties")
    return isinstance(inner, dict) and _is_in(inner, keys[1:], whole)


def _open_objects(found: Any, path: str) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("properties"), dict) and found.get("additionalProperties", True) is True:
            yield path
        for key, each in found.items():
            yield from _open_objects(each, f"{path}/{key}")


def test_charts_name_things_alike() -> None:
    """Helm knows no file of two charts without a third chart for it: so each has the same."""
    assert len({(chart / "templates/_names.tpl").read_bytes() for chart in CHARTS}) == 1


def test_the_chart_is_of_this_sensor() -> None:
    about = yaml.safe_load((rendered.CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == sensor.__version__
    assert about["kubeVersion"] == ">=1.19.0-0"
    assert about["annotations"]["artifacthub.io/license"] == "Apache-2.0"
    assert all(isinstance(value, str) for value in about["annotations"].values())
    assert yaml.safe_load(about["annotations"]["artifacthub.io/changes"])
    (image,) = yaml.safe_load(about["annotations"]["artifacthub.io/images"])
    assert image["image"] == container(rendered.manifests("defaults"))["image"]


def test_a_cluster_that_is_too_old_is_refused() -> None:
    with pytest.raises(HelmError, match=r"1\.18"):
        template(rendered.CHART, {}, "--kube-version=v1.18.0")


def _notes(folder: Path, *options: str) -> str:
    """What `helm install` says at its end, which `helm template` has no way to show."""
    chart = rendered.copied(folder)
    notes = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/_shown.tpl").write_text(f'{{{{ define "shown" }}}}{notes}{{{{ end }}}}')
    (chart / "templates/shown.yaml").write_text('kind: Shown\ntext: {{ include "shown" . | toJson }}\n')
    (found,) = of_kind(parse(template(chart, {}, *options)), "Shown")
    return str(found["text"])


def _commands(notes: str) -> list[list[str]]:
    return [shlex.split(line) for line in notes.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("kind", ["daemonset", "deployment"])
def test_notes_name_objects_that_are_there(kind: str, tmp_path: Path) -> None:
    option = f"--set=workloadType={kind}"
    found = parse(template(rendered.CHART, {}, option))
    commands = _commands(_notes(tmp_path, option))
    assert len(commands) >= 4
    for command in commands:
        assert command[command.index("--namespace") + 1] == NAMESPACE
        for word in command:
            if word.startswith(("daemonset/", "deployment/")):
                assert word == f"{kind}/{workload(found)['metadata']['name']}"
    assert any("doctor" in command for command in commands) is (kind == "daemonset")
    (selector,) = [c[c.index("--selector") + 1] for c in commands if "--selector" in c]
    assert dict(pair.split("=") for pair in selector.split(",")).items() <= _pod_labels(found).items()


def _pod_labels(found: list[Manifest]) -> dict[str, str]:
    labels: dict[str, str] = workload(found)["spec"]["template"]["metadata"]["labels"]
    return labels


def test_notes_say_what_is_still_missing(tmp_path: Path) -> None:
    told = _notes(tmp_path / "a")
    assert "WARNING: snykGroupId is the default" in told
    assert "WARNING: clusterName is dev" in told
    assert "WARNING: sensor.image.repository is runtime-sensor, without a registry" in told
    assert "kubectl create secret generic snyk-secret" in told
    told = _notes(
        tmp_path / "b",
        "--set=snykGroupId=12345678-1234-1234-1234-123456789abc,secretProvider=aws",
        "--set=sensor.image.repository=registry.example/runtime-sensor,clusterName=prod",
        "--api-versions=security.openshift.io/v1",
    )
    assert "WARNING" not in told
    assert (
        f"oc adm policy add-scc-to-user privileged system:serviceaccount:{NAMESPACE}:runtime-sensor" in told
    )


def test_helm_test_is_the_sensors_own_pod() -> None:
    (pod,) = of_kind(rendered.manifests("defaults"), "Pod")
    spec = workload(rendered.manifests("defaults"))["spec"]
    (own,), (tried,) = spec["template"]["spec"]["containers"], pod["spec"]["containers"]
    assert tried["args"] == ["doctor"]
    for key in ("command", "env", "image", "securityContext", "volumeMounts"):
        assert tried[key] == own[key]
    assert pod["spec"]["volumes"] == spec["template"]["spec"]["volumes"]
    assert not spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert not of_kind(rendered.manifests("no test"), "Pod")


_DOCUMENTS = sorted((ROOT / "docs/install").glob("*.md"))


def test_documents_are_there() -> None:
    assert len(_DOCUMENTS) >= 8


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.name)
def test_what_documents_set_is_taken(path: Path) -> None:
    """Each --set of a command there, by the real helm; capitals stand for something of the kind."""
    text = re.sub(r"\\\n\s*", "", path.read_text())
    stand_in = {
        "YOUR_GROUP_ID": "12345678-1234-1234-1234-123456789abc",
        "YOUR_CLUSTER": "prod",
        "REGION": "eu",
        "REGISTRY": "registry.example",
    }
    for placeholder, value in stand_in.items():
        text = text.replace(placeholder, value)
    for line in text.splitlines():
        # AWS's chart has its own values.
        if (
            line.lstrip().startswith(("helm install", "helm upgrade"))
            and " aws-secrets-manager/secrets-store-csi-driver-provider-aws " not in line
        ):
            words = shlex.split(line)
            options = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
            template(rendered.CHART, {}, *[f"--set={each}" for each in options])


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.name)
def test_links_of_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_release_of_the_documents_is_the_tests_own() -> None:
    assert f"helm install {RELEASE} " in (ROOT / "docs/install/README.md").read_text()
