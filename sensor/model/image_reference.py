"""References to images, by the rules that Docker, containerd, CRI-O and Kubernetes share.

Grammar: https://github.com/distribution/reference, which all of them use: what a short name means
(``ParseNormalizedNamed``) and that a missing tag is ``latest`` (``TagNameOnly``; Kubernetes:
``pkg/util/parsers``). Pure, and without a failure for any value of any type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sensor.model.container import Image

_TEXT_MAX = 1024  # characters: 255 of a path, 128 of a tag, 135 of a digest, and a registry's name
_PATH_MAX = 255  # RepositoryNameTotalLengthMax
_DIGESTS_MAX = 64  # registries that one image was pushed to

_DEFAULT_DOMAIN = "docker.io"
_LEGACY_DOMAIN = "index.docker.io"
_LOCALHOST = "localhost"
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?", re.ASCII)
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# Of the algorithms of go-digest: one that is not known makes the whole reference invalid there too.
_DIGEST = "sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}"
_REFERENCE = re.compile(
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_WHOLE_DIGEST = re.compile(_DIGEST)
_IMAGE_ID = re.compile("(?:sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """``domain`` is the registry with its port. ``tag`` is ``None`` only where a digest says which image.

    ``domain`` is empty where the grammar takes the first component for neither a registry nor a user
    of Docker Hub (``my_registry.example/app``).
    """

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: object) -> ImageReference | None:
        """Return the normalised reference, None for what is none: image ids, upper case, other junk."""
        if not isinstance(text, str) or len(text) > _TEXT_MAX or _IMAGE_ID.fullmatch(text):
            return None
        domain, remainder = _split(text)
        if not _DOMAIN.fullmatch(domain):
            domain, remainder = "", f"{domain}/{remainder}"
        found = _REFERENCE.fullmatch(remainder)
        if found is None or len(found["path"]) > _PATH_MAX:
            return None
        tag, digest = found["tag"], found["digest"]
        return cls(domain, found["path"], tag if tag or digest else _DEFAULT_TAG, digest)

    @property
    def repository(self) -> str:
        """Without tag and digest."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def name(self) -> str:
        """``docker.io/library/app:1.2``. Only without a tag the digest is part of it (``…/app@sha256:…``):
        bare, it would mean ``latest``."""
        return f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{self.digest}"


def normalised(text: object) -> str | None:
    """Return the full name of the image that ``text`` names, None if it is no reference."""
    reference = ImageReference.parse(text)
    return None if reference is None else reference.name


def image_name(text: object) -> str | None:
    """Return what to report as the name of an image: normalised, or as written where it is no reference.

    A runtime that runs an image of a name outside of the grammar still runs it. None for an image id,
    which names nothing, and for what no name can be: not printable, or longer than 1,024 characters.
    """
    if not isinstance(text, str) or not 0 < len(text) <= _TEXT_MAX or not text.isprintable():
        return None
    return None if _IMAGE_ID.fullmatch(text) else normalised(text) or text


def digest_of(text: object) -> str | None:
    """Return the manifest's digest in a reference, a repo digest or a ``status.imageID``; None without one.

    Kubernetes writes ``docker-pullable://app@sha256:…`` and ``app@sha256:…``. ``docker://sha256:…`` and
    a bare ``sha256:…`` are ids: digests of the image's configuration, which no registry finds.
    """
    if not isinstance(text, str) or len(text) > _TEXT_MAX:
        return None
    _, at, digest = text.rpartition("@")
    return digest if at and _WHOLE_DIGEST.fullmatch(digest) else None


def repo_digest(name: object, digests: object) -> str | None:
    """Return the digest that an image has in the repository that ``name`` names, else the first one.

    ``name`` is a reference as written, whose own digest wins. ``digests`` is a list such as the CRI's
    ``repo_digests`` or Docker's ``RepoDigests``: the same image may have been pushed to several registries.
    """
    written = digest_of(name)
    if written is not None or not isinstance(digests, list | tuple):
        return written
    known = [text for text in digests[:_DIGESTS_MAX] if digest_of(text)]
    wanted = ImageReference.parse(name)
    for text in known if wanted else ():
        found = ImageReference.parse(text)
        if found is not None and wanted is not None and found.repository == wanted.repository:
            return found.digest
    return digest_of(known[0]) if known else None


def image(name: object, *sources: object) -> Image:
    """Return the image of this name, with the first digest that ``name`` or one of ``sources`` tells:
    references, values of ``status.imageID``, or lists of repo digests."""
    digest = digest_of(name)
    for source in sources if digest is None else ():
        digest = repo_digest(name, source if isinstance(source, list | tuple) else (source,))
        if digest is not None:
            break
    return Image(image_name(name), digest)


def _split(text: str) -> tuple[str, str]:
    """Return registry and remainder. The first component is a registry if nothing else can look like it."""
    first, slash, rest = text.partition("/")
    if not slash:
        return _DEFAULT_DOMAIN, _OFFICIAL + text
    if first == _LEGACY_DOMAIN:
        first = _DEFAULT_DOMAIN
    elif first != _LOCALHOST and first == first.lower() and not {".", ":"} & set(first):
        first, rest = _DEFAULT_DOMAIN, text
    if first == _DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest
