"""The EKS add-on: it breaks no rule, and each rule sees what breaks it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.charts import addon_rules, rendered
from tests.charts.addon_package import PackageError, addon, package
from tests.charts.addon_rules import RULES, SCHEMA, Rule, violations
from tests.charts.helm_program import run
from tests.charts.manifests import container, parse, workload

_IMAGE = "registry.example/team/runtime-sensor:1.2.3"
_WORKLOAD, _VALUES, _CHART = "templates/workload.yaml", "values.yaml", "Chart.yaml"
Break = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return addon(rendered.CHART, _IMAGE, tmp_path_factory.mktemp("addon"))


def _more(name: str, text: str) -> Break:
    def change(chart: Path) -> None:
        path = chart / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)

    return change


def _instead(name: str, old: str, new: str) -> Break:
    def change(chart: Path) -> None:
        text = (chart / name).read_text()
        assert old in text
        (chart / name).write_text(text.replace(old, new))

    return change


def _without(name: str) -> Break:
    return lambda chart: (chart / name).unlink()


def _schema(change: Callable[[dict[str, Any]], object]) -> Break:
    def rewrite(chart: Path) -> None:
        found = json.loads((chart / SCHEMA).read_text())
        change(found)
        (chart / SCHEMA).write_text(json.dumps(found))

    return rewrite


def _property(name: str, **described: str) -> Break:
    return _schema(lambda found: found["properties"].update({name: {"type": "string", **described}}))


_BREAKS: tuple[tuple[Rule, Break], ...] = (
    (addon_rules.helm_3_8_lints_it, _instead(_CHART, "version: 0.1.0", "version: one")),
    (addon_rules.helm_3_8_renders_it, _more(_WORKLOAD, '{{ mustToDuration "1h" }}\n')),
    (addon_rules.no_hooks, _more(_WORKLOAD, "{{ if false }}# helm.sh/hook: test{{ end }}\n")),
    (addon_rules.no_lookup, _more(_WORKLOAD, '{{ if lookup "v1" "Secret" "a" "b" }}{{ end }}\n')),
    (addon_rules.release_has_a_name_and_a_namespace_only, _more(_WORKLOAD, "# {{ .Release.Service }}\n")),
    (
        addon_rules.no_questions_for_apis,
        _more(_WORKLOAD, '{{ if .Capabilities.APIVersions.Has "a/v1" }}{{ end }}'),
    ),
    (addon_rules.images_are_named_in_full, _instead(_VALUES, "registry.example/team/", "")),
    (
        addon_rules.images_stand_in_values,
        _instead("templates/_pod.tpl", "image: {{", "image: other.example/a/b:1.2.3 # {{"),
    ),
    (
        addon_rules.no_definition_beside_its_resource,
        _more("crds/class.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"),
    ),
    (addon_rules.a_workload_is_there, _without(_WORKLOAD)),
    (
        addon_rules.both_architectures,
        _instead(
            "templates/_pod.tpl", 'dict "kubernetes.io/os" "linux"', 'dict "kubernetes.io/arch" "amd64"'
        ),
    ),
    (
        addon_rules.both_architectures,
        _instead(
            "templates/_pod.tpl",
            "values: [fargate]",
            "values: [fargate]\n            - key: kubernetes.io/arch\
\n              operator: In\n              values: [arm64]",
        ),
    ),
    (
        addon_rules.self_contained,
        _more(_CHART, "dependencies: [{name: a, version: 1.0.0, repository: 'https://charts.example'}]\n"),
    ),
    (
        addon_rules.schema_is_of_a_draft_that_eks_reads,
        _schema(lambda found: found.update({"$schema": "https://json-schema.org/draft/2020-12/schema"})),
    ),
    (addon_rules.schema_describes_each_property, _property("clusterName", description=" ")),
    (
        addon_rules.schema_describes_each_property,
        _schema(lambda found: found["properties"]["sensor"].pop("description")),
    ),
    (addon_rules.schema_is_in_camel_case, _property("cluster_name", description="a")),
    (addon_rules.schema_takes_no_secret, _property("snykToken", description="a")),
    (addon_rules.schema_names_values_of_the_chart, _property("clusterNames", description="a")),
)


def test_the_addon_breaks_no_rule(whole: Path) -> None:
    assert list(violations(whole)) == []


def test_each_rule_is_broken_once() -> None:
    assert {rule for rule, _ in _BREAKS} == set(RULES)


@pytest.mark.parametrize(("rule", "break_it"), _BREAKS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_rule_sees_what_breaks_it(rule: Rule, break_it: Break, whole: Path, tmp_path: Path) -> None:
    chart = shutil.copytree(whole, tmp_path / whole.name)
    assert list(rule(chart)) == []
    break_it(chart)
    found = list(violations(chart))
    assert [each for each in found if each.startswith(f"{rule.__name__}: ")], found


def test_it_is_the_same_sensor(whole: Path) -> None:
    """Only the image's name is another."""
    given = run(["template", "a", whole, "--kube-version=v1.34.0"])
    own = run(["template", "a", rendered.CHART, "--kube-version=v1.34.0", "--no-hooks"])
    own = own.replace('"runtime-sensor:0.1.0"', f'"{_IMAGE}"')
    assert parse(given) == parse(own)
    assert container(parse(given))["image"] == _IMAGE


def test_the_documented_configuration_is_taken_by_schema_and_chart(whole: Path) -> None:
    schema = json.loads((whole / SCHEMA).read_text())
    Draft7Validator.check_schema(schema)
    documented = {
        "secretName": "snyk-secret",
        "clusterName": "prod",
        "snykGroupId": "12345678-1234-1234-1234-123456789abc",
        "snykAPIBaseURL": "api.snyk.io:443",
    }
    assert list(Draft7Validator(schema).iter_errors(documented)) == []
    options = [f"--set={key}={value}" for key, value in documented.items()]
    assert workload(parse(run(["template", "a", whole, *options])))["kind"] == "DaemonSet"
    wrongs: tuple[dict[str, Any], ...] = (
        {"snykGroupID": "a"},
        {"workloadType": "banana"},
        {"sensor": {"extraEnv": []}},
    )
    for wrong in wrongs:
        assert list(Draft7Validator(schema).iter_errors(wrong)) != [], wrong


@pytest.mark.parametrize("image", ["runtime-sensor:1", "registry.example/a/b", "registry.example/a/b:latest"])
def test_an_image_that_is_not_named_in_full_is_refused(image: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="expected REGISTRY/REPOSITORY:TAG"):
        addon(rendered.CHART, image, tmp_path)


def test_the_package_is_a_chart_and_its_schema(tmp_path: Path) -> None:
    archive, schema = package(rendered.CHART, _IMAGE, tmp_path)
    assert _IMAGE in run(["template", "a", archive])
    assert json.loads(schema.read_text())["properties"]


def test_a_chart_that_breaks_a_rule_is_not_packaged(tmp_path: Path) -> None:
    chart = rendered.copied(tmp_path)
    _more(_WORKLOAD, "# {{ .Release.Service }}\n")(chart)
    with pytest.raises(PackageError, match="release_has_a_name_and_a_namespace_only"):
        package(chart, _IMAGE, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()
