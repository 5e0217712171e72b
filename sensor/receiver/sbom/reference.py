"""Under which names the SBOM of an image is found."""

from __future__ import annotations

from sensor.model.image_reference import ImageReference


def normalised(name: str) -> str:
    """``my-app`` is ``docker.io/library/my-app:latest``; one with a digest keeps that and loses its tag, as
    the digest alone says which image it is. What is no reference stays as it is."""
    text = name.strip().removeprefix("docker-pullable://")
    reference = ImageReference.parse(text)
    if reference is None:
        return text
    return f"{reference.repository}@{reference.digest}" if reference.digest else reference.name


def names_of(name: str, digest: str) -> tuple[str, ...]:
    """Under which names an SBOM of the image may stand, the surest first."""
    names = [digest]
    if name:
        names += [normalised(name), normalised(name).rpartition("@")[2] if "@" in name else "", name]
    return tuple(dict.fromkeys(filter(None, names)))
