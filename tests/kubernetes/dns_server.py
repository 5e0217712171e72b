"""The cluster's name server: Services by name, as Kubernetes' DNS specification has them, and nothing else.

A stand-in for CoreDNS, which is another large program to build: A records of Services with an address and
of headless ones (their endpoints), from the API server at each question. A Service can stand in for a name
of the world outside, with the annotation by which external-dns gives Services names. Every other name does
not exist, so what runs in the cluster learns at once that the world outside is not there. UDP alone: no
answer is large.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import struct
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

import urllib3

from tests.cluster.client import ApiError, Client, Json
from tests.kubernetes.certificates import Certificates
from tests.kubernetes.layout import API_URL, DOMAIN, NODE_ADDRESS, Layout

_A, _ANY, _IN = 1, 255, 1
_NO_ERROR, _SERVER_FAILURE, _NO_SUCH_NAME = 0, 2, 3
_SECONDS_TO_LIVE = 1
_HEADER = struct.Struct("!HHHHHH")
HOSTNAME = "external-dns.alpha.kubernetes.io/hostname"
"""Annotation of a Service: other names that are its own, separated by commas."""
_ROLE = "system:kube-dns"  # one of the API server's own, with what a name server reads


def command(layout: Layout) -> list[str]:
    repository = Path(__file__).parents[2]
    program = [sys.executable, "-m", "tests.kubernetes.dns_server", str(layout.root)]
    return ["env", f"PYTHONPATH={repository}", *program]


def grant(admin: Client) -> None:
    """Lets it read Services and endpoints."""
    group = "rbac.authorization.k8s.io"
    subject = {"apiGroup": group, "kind": "User", "name": "system:dns"}
    admin.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _ROLE + "-on-node"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _ROLE},
            "subjects": [subject],
        }
    )


def main() -> None:
    """Serves on the node's address, port 53, until it is killed."""
    parser = argparse.ArgumentParser(description="The cluster's name server.")
    parser.add_argument("state", type=Path)
    certificates = Certificates(Layout(parser.parse_args().state).certificates)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(certificates.certificate("dns"), certificates.key("dns"))
    client = Client(API_URL, context, user_agent="dns-server")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint, ThreadPoolExecutor(8) as pool:
        endpoint.bind((NODE_ADDRESS, 53))
        while True:
            question, asker = endpoint.recvfrom(4096)
            pool.submit(_serve, client, endpoint, question, asker)


def _serve(client: Client, endpoint: socket.socket, question: bytes, asker: tuple[str, int]) -> None:
    try:
        endpoint.sendto(answer(client, question), asker)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
        print(f"{asker[0]}: no question: {error}", file=sys.stderr, flush=True)


def answer(client: Client, question: bytes) -> bytes:
    """The message that answers ``question`` (RFC 1035, 4.1). Raises ValueError, IndexError, struct.error."""
    number, flags, questions, *_ = _HEADER.unpack_from(question)
    if questions != 1 or flags & 0x8000:
        raise ValueError(f"{questions} questions, flags {flags:#06x}")
    labels, end = _labels(question, _HEADER.size)
    kind, kin = struct.unpack_from("!HH", question, end)
    try:
        found = addresses(client, labels)
        code = _NO_ERROR if found is not None else _NO_SUCH_NAME
    except (ApiError, urllib3.exceptions.HTTPError) as error:
        print(f"{'.'.join(labels)}: {error}", file=sys.stderr, flush=True)
        found, code = None, _SERVER_FAILURE
    wanted = (found or []) if kind in (_A, _ANY) and kin == _IN else []
    # Response, authoritative, recursion as asked and, for resolvers that insist, available.
    header = _HEADER.pack(number, 0x8480 | flags & 0x0100 | code, 1, len(wanted), 0, 0)
    records = [
        struct.pack("!HHHIH", 0xC000 | _HEADER.size, _A, _IN, _SECONDS_TO_LIVE, 4) + IPv4Address(each).packed
        for each in wanted
    ]
    return header + question[_HEADER.size : end + 4] + b"".join(records)


def addresses(client: Client, labels: Sequence[str]) -> list[str] | None:
    """Of the Service ``NAME.NAMESPACE.svc.DOMAIN``, or of one with that annotation; else None."""
    inside = len(labels) > 2 and [*labels[2:]] == ["svc", *DOMAIN.split(".")]
    service = _get(client, labels[1], "services", labels[0]) if inside else _named(client, ".".join(labels))
    if service is None or service["spec"].get("type") == "ExternalName":
        return None
    if service["spec"].get("clusterIP") != "None":
        return [service["spec"]["clusterIP"]]
    metadata = service["metadata"]
    endpoints = _get(client, metadata["namespace"], "endpoints", metadata["name"]) or {}
    subsets = endpoints.get("subsets") or []
    return [each["ip"] for subset in subsets for each in subset.get("addresses") or []]


def _get(client: Client, namespace: str, kind: str, name: str) -> Json | None:
    """By a list: the role allows nothing else."""
    path = f"/api/v1/namespaces/{namespace}/{kind}"
    items = client.get(path, fieldSelector=f"metadata.name={name}")["items"]
    return items[0] if items else None


def _named(client: Client, name: str) -> Json | None:
    for service in client.get("/api/v1/services")["items"]:
        if name in service["metadata"].get("annotations", {}).get(HOSTNAME, "").split(","):
            found: Json = service
            return found
    return None


def _labels(message: bytes, start: int) -> tuple[list[str], int]:
    """The name at ``start``, in lower case, and where it ends."""
    labels = []
    while length := message[start]:
        if length > 63:
            raise ValueError("a compressed name in a question")
        labels.append(message[start + 1 : start + 1 + length].decode("ascii").lower())
        start += 1 + length
    return labels, start + 1


if __name__ == "__main__":
    main()
