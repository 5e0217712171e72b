"""Where reports go: options and environment become settings, and no error shows a token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sensor.config.node import node_settings
from sensor.config.receiver import receiver_settings
from sensor.config.texts import Address, SettingsError
from sensor.config.upstream import MAX_SCOPES, Scope, UpstreamSettings, scopes, upstream_settings

SECRET = "s3cr3t-t0k3n"
ENVIRONMENT = {"SNYK_API_BASE_URL": "api.eu.snyk.io:443", "SNYK_TOKEN": f"{SECRET}\n"}


def test_nothing_is_delivered_unless_an_upstream_is_named() -> None:
    """A SNYK_TOKEN for other tools alone must not make a node report."""
    assert upstream_settings({}, {"SNYK_TOKEN": SECRET}) is None
    assert node_settings({}, {"SNYK_TOKEN": SECRET}).output == "table"


def test_the_chart_s_environment_is_enough() -> None:
    settings = upstream_settings({}, ENVIRONMENT | {"SNYK_GROUP_ID": "g"})
    assert settings == UpstreamSettings(Address("api.eu.snyk.io", 443), token=SECRET, group_id="g")
    assert node_settings({}, ENVIRONMENT).output == "none"
    assert node_settings({}, ENVIRONMENT).debounce == 0.5  # for what is not shown to people
    assert node_settings({"output": "jsonl"}, ENVIRONMENT).output == "jsonl"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("api.snyk.io", Address("api.snyk.io", 443)),
        ("https://api.snyk.io", Address("api.snyk.io", 443)),
        ("https://api.snyk.io:8443/", Address("api.snyk.io", 8443)),
        ("[::1]:9443", Address("::1", 9443)),
        ("[::1]", Address("::1", 443)),
    ],
)
def test_addresses_as_people_write_them(found: str, expected: Address) -> None:
    settings = upstream_settings({"upstream": found}, {"SNYK_TOKEN": SECRET})
    assert settings is not None and settings.address == expected


@pytest.mark.parametrize(
    "found", ["http://api.snyk.io", "https://", "api.snyk.io:443/v1", "host:port", "::1:443"]
)
def test_what_is_no_address_is_said(found: str) -> None:
    with pytest.raises(SettingsError, match=r"--upstream: found .*expected HOST:PORT"):
        upstream_settings({"upstream": found}, {"SNYK_TOKEN": SECRET})


def test_without_a_token_the_error_says_where_to_put_one() -> None:
    with pytest.raises(SettingsError, match=r"SNYK_TOKEN.*--token-file.*AppRisk edit"):
        upstream_settings({"upstream": "api.snyk.io"}, {})


def test_a_token_s_file_beats_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET)
    settings = upstream_settings({"token_file": str(file)}, ENVIRONMENT)
    assert settings is not None and (settings.token, settings.token_file) == (None, file)
    with pytest.raises(SettingsError, match="--token-file: found no file"):
        upstream_settings({"token_file": str(tmp_path / "other")}, ENVIRONMENT)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("transport", "http"),
        ("batch_containers", "0"),
        ("batch_size", "4096"),
        ("batch_interval", "-1"),
        ("snapshot_interval", "1"),
        ("requests_per_minute", "0"),
        ("ca_bundle", "/nowhere/ca.pem"),
    ],
)
def test_each_option_says_what_it_expected(option: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"--{option.replace('_', '-')}: found .*{value}.*expected"):
        upstream_settings({option: value}, ENVIRONMENT)


def test_no_representation_shows_a_token() -> None:
    environment = ENVIRONMENT | {"GROUPS_SCOPES": json.dumps([entry(token=SECRET)])}
    assert SECRET not in repr(node_settings({}, environment))


def entry(**changes: object) -> dict[str, object]:
    return {"groupId": "team-a", "namespaces": ["shop", "team-*"]} | changes


def test_scopes() -> None:
    found = scopes(json.dumps([entry(), entry(groupId="b", token=f" {SECRET}\n")]))
    assert found == (Scope("team-a", ("shop", "team-*")), Scope("b", ("shop", "team-*"), SECRET))
    assert scopes("") == scopes(" \n") == ()


@pytest.mark.parametrize(
    "found",
    [
        f"{SECRET}",
        f'"{SECRET}"',
        f'{{"token": "{SECRET}"}}',
        json.dumps([SECRET]),
        json.dumps([entry(token=[SECRET])]),
        json.dumps([entry(token="")]),
        json.dumps([entry(groupId="")]),
        json.dumps([entry(namespaces=[])]),
        json.dumps([entry(namespaces="shop")]),
        json.dumps([entry(tokens=SECRET)]),
        json.dumps([entry()] * (MAX_SCOPES + 1)),
        "[" * 100_000,
    ],
)
def test_wrong_scopes_are_said_without_what_they_hold(found: str) -> None:
    with pytest.raises(SettingsError, match=r"GROUPS_SCOPES: .*expected") as error:
        scopes(found)
    assert SECRET not in str(error.value) and error.value.__cause__ is None


def test_scopes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "scopes.json"
    file.write_text(json.dumps([entry()]))
    settings = upstream_settings({"groups_scopes_file": str(file)}, ENVIRONMENT)
    assert settings is not None and len(settings.scopes) == 1


def test_a_receiver_listens_on_this_machine_only() -> None:
    settings = receiver_settings({}, {"HOME": "/root"})
    assert (settings.grpc_address.host, settings.http_address.host) == ("127.0.0.1", "127.0.0.1")
    assert settings.data_dir == Path("/root/.local/share/runtime-sensor/receiver")
    assert settings.expire_after == 48 * 3600


def test_what_expires_is_asked_for_in_hours() -> None:
    assert receiver_settings({"expire_after": "0.5"}, {}).expire_after == 1800
    with pytest.raises(
        SettingsError, match=r"--expire-after: found '9000', expected hours from 0\.001 to 8,784"
    ):
        receiver_settings({"expire_after": "9000"}, {})


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.touch()
    with pytest.raises(SettingsError, match="expected both or neither"):
        receiver_settings({"tls_certificate": str(file)}, {})
