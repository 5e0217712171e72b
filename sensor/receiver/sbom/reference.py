"""Image names by the rules of Docker and Kubernetes."""

from __future__ import annotations

_HUB = "docker.io"


def normalised(name: str) -> str:
    """``my-app`` is ``docker.io/library/my-app:latest``; one with a digest keeps that and loses its tag."""
    rest, at, digest = name.strip().removeprefix("docker-pullable://").partition("@")
    first, slash, path = rest.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, path = _HUB, rest
    if first == "index.docker.io":
        first = _HUB
    if first == _HUB and "/" not in path:
        path = f"library/{path}"
    repository, colon, tag = path.rpartition(":")
    if not colon:
        repository, tag = path, "latest"
    return f"{first}/{repository}@{digest}" if at else f"{first}/{repository}:{tag}"


def names_of(name: str, digest: str) -> tuple[str, ...]:
    """Under which names an SBOM of the image may stand, the surest first."""
    names = [digest]
    if name:
        names += [normalised(name), normalised(name).rpartition("@")[2] if "@" in name else "", name]
    return tuple(dict.fromkeys(filter(None, names)))
