"""What a jar is called, and which packages were shaded into it.

Nothing in a jar has to say so. In the order of trust: the pom.properties whose artifact the file is named
after; the only one; the symbolic name of a bundle that Maven built; the file name; the manifest. The group
is the pom's, else that of a well-known artifact, the manifest's, or that of the classes' packages; where
none of them tells, it is the artifact once more, which is what syft writes.

The SHA-1 by which scanners with a network find jars without a pom is not computed: a look-up needs a
service outside, and reading all of each jar would cost more than everything else here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sensor.node.resolve.java.filename import Split, splits, without_classifier
from sensor.node.resolve.java.groups import known_group
from sensor.node.resolve.java.manifest import Manifest
from sensor.node.resolve.java.pom import Coordinates, coordinates

_JDK_TITLES = frozenset({"Java Runtime Environment", "Java Platform API Specification"})
_GROUP = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)+", re.ASCII)
# mssql-jdbc: the pom inside lacks what the artifact was published with.
_PATCHED_VERSION = re.compile(r"\.jre\d+")
# Named as a vendor, but home of many groups.
_TOO_WIDE = frozenset({"org.apache", "com.sun", "org.eclipse", "com.oracle", "com.google", "org.jboss"})
_GROUP_WORDS = 8
# Eclipse's compiler is named after the release of Eclipse (ecj-4.20.jar, in Tomcat), and published under the
# version of its bundle (3.26.0.v20210609-0549 as 3.26.0).
_ECJ = "ecj"
_NUMBERS = re.compile(r"\d+\.\d+\.\d+")
_INNER_PACKAGES = ("internal", "impl")
_BUNDLE_TOOLS = ("apache maven bundle plugin", "bnd-maven-plugin", "maven")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one archive says of itself. ``poms`` are in the order of its directory.

    ``package`` is the folder that all its classes are below (``org/x``), empty when there is none.
    ``application``: it brings its libraries along, or names them, and is started. ``grouped``: it lies where
    Quarkus puts libraries, whose files are called group, dot, artifact.
    """

    stem: str
    poms: tuple[Coordinates, ...]
    manifest: Manifest
    package: str
    application: bool
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """``own`` is what the archive itself is, None for an application or when nothing tells."""

    own: Coordinates | None
    shaded: tuple[Coordinates, ...]


def identify(evidence: Evidence) -> Identity:
    """Return what an archive is and what was shaded into it."""
    manifest = evidence.manifest
    if manifest.get("weave-classes"):
        return Identity(_instrumentation(manifest), evidence.poms)
    if is_jdk(manifest):
        return Identity(None, ())
    own = _own_pom(evidence)
    if own is not None:
        shaded = evidence.poms if len(evidence.poms) > 1 else ()
        shaded = tuple(pom for pom in shaded if pom is not own)
        return Identity(_completed(own, evidence), shaded)
    named = None if evidence.application else _named(evidence)
    return Identity(named, tuple(pom for pom in evidence.poms if pom != named))


def starts(manifest: Manifest) -> bool:
    """Whether a jar is there to be started, with others that its manifest names."""
    return bool(manifest.get("main-class") and manifest.class_path.strip())


def is_jdk(manifest: Manifest) -> bool:
    """Whether a jar is part of the Java runtime: rt.jar, jsse.jar, jrt-fs.jar, those below lib/ext."""
    return (
        manifest.get("implementation-title") in _JDK_TITLES
        or manifest.get("specification-title") in _JDK_TITLES
    )


def _own_pom(evidence: Evidence) -> Coordinates | None:
    fitting = [pom for pom in evidence.poms if _fits(pom, evidence.stem)]
    if fitting:
        bundle = _bundle_name(evidence.manifest)
        return max(
            fitting,
            key=lambda pom: (
                len(pom.artifact),
                _agrees(pom, evidence.stem),
                bundle.startswith(pom.group),
            ),
        )
    if len(evidence.poms) != 1:
        return None
    (only,) = evidence.poms
    if not _may_own(only, evidence):
        return None
    return only._replace(artifact=_transformed(only, evidence))


def _transformed(only: Coordinates, evidence: Evidence) -> str:
    """The artifact of a jar that was made from another and kept its pom: swagger-core-jakarta.

    The file and the bundle both have the longer name then.
    """
    artifact, version = splits(evidence.stem)[0]
    rest = artifact.removeprefix(f"{only.artifact}-")
    bundle = _bundle_name(evidence.manifest)
    if rest != artifact and version == only.version and bundle.endswith((f".{rest}", f"-{rest}")):
        return artifact
    return only.artifact


def _fits(pom: Coordinates, stem: str) -> bool:
    """Whether a file is named after a pom: ``artifact``, ``artifact-1.0``, or with the group in front,
    as Quarkus and Gradle's distributions lay libraries out."""
    for name in (pom.artifact, f"{pom.group}.{pom.artifact}"):
        if stem == name or stem.startswith((f"{name}-{pom.version}", f"{name}_{pom.version}")):
            return True
        rest = stem.removeprefix(f"{name}-")
        if rest != stem and (rest[:1].isdigit() or rest[:1] in "vVrR"):
            return True
    return False


def _agrees(pom: Coordinates, stem: str) -> bool:
    return pom.version is not None and pom.version in stem


def _may_own(only: Coordinates, evidence: Evidence) -> bool:
    """Whether a file with another name than its only pom is still that project: renamed, not shaded.

    A build by Gradle or sbt that shades one Maven library has one pom too, that of the library.
    """
    stem, manifest = evidence.stem, evidence.manifest
    likely = splits(stem)[0]
    if likely.version is None or _agrees(only, stem):
        return True
    told = {manifest.get("implementation-version"), manifest.get("bundle-version")}
    if only.version in told:
        return True
    words = set(re.split(r"[._-]", likely.artifact.lower()))
    return not words.isdisjoint(re.split(r"[._-]", only.artifact.lower()))


def _completed(own: Coordinates, evidence: Evidence) -> Coordinates:
    """With the version of the file name or the manifest, when the pom has none or a shortened one."""
    if own.version is None:
        version = _version(evidence, _split_of(own.artifact, evidence.stem))
        return coordinates(own.group, own.artifact, version or "") or own
    rest = evidence.stem.removeprefix(f"{own.artifact}-{own.version}")
    if rest != evidence.stem and (match := _PATCHED_VERSION.match(rest)):
        return own._replace(version=own.version + match[0])
    return own


def _named(evidence: Evidence) -> Coordinates | None:
    """What a jar without a pom of its own is, by its name and manifest; None without any version."""
    bundle = _bundle_name(evidence.manifest)
    split = _choose(evidence)
    if split.version is None and (told := _told_by_bundle(bundle, evidence.manifest)):
        return told
    version = _version(evidence, split)
    if split.artifact == _ECJ and (match := _NUMBERS.match(evidence.manifest.get("bundle-version"))):
        version = match[0]
    if version is None:
        return None
    group, artifact = _group_and_artifact(evidence, bundle, split, version)
    if not artifact:
        artifact = evidence.manifest.get("implementation-title")
    group = known_group(artifact, version, evidence.package) or group or _group(evidence, bundle, artifact)
    if group == artifact and starts(evidence.manifest):
        return None  # nothing names it, and it starts something: Tomcat's bin/bootstrap.jar
    return coordinates(group, artifact, version)


def _told_by_bundle(bundle: str, manifest: Manifest) -> Coordinates | None:
    """What Tomcat's lib/catalina.jar is, org.apache.tomcat-catalina: file names of its own, bundles after
    the artifacts as they are published (seen in 9.0.87)."""
    group, _, artifact = bundle.rpartition(".")
    group += "." + artifact.partition("-")[0]
    version = manifest.get("bundle-version")
    if not version or known_group(artifact, version, "") != group:
        return None
    return coordinates(group, artifact, version)


def _group_and_artifact(evidence: Evidence, bundle: str, split: Split, version: str) -> tuple[str, str]:
    """The artifact, and the group where the file name or the bundle's name tell it as well."""
    if bundle and _is_maven_bundle(evidence.manifest):
        return _from_bundle(bundle, split)
    return _ungrouped(evidence, split.artifact, version)


def _ungrouped(evidence: Evidence, name: str, version: str) -> tuple[str, str]:
    """Group and artifact of a name that may have the group in front, with a dot between."""
    words = name.split(".")
    for count in range(1, min(len(words), _GROUP_WORDS)):
        group, artifact = ".".join(words[:count]), ".".join(words[count:])
        if known_group(artifact, version, evidence.package) == group:
            return group, artifact
    group, dot, artifact = name.rpartition(".")
    return (group, artifact) if dot and evidence.grouped else ("", name)


def _choose(evidence: Evidence) -> Split:
    """The reading of the file name that the manifest agrees with, else the likeliest."""
    found = splits(evidence.stem)
    manifest = evidence.manifest
    versions = {manifest.get("implementation-version"), manifest.get("specification-version")} - {""}
    for split in found:
        if split.version is not None and without_classifier(split.version) in versions:
            return split
    return found[0]


def _split_of(artifact: str, stem: str) -> Split:
    return next((split for split in splits(stem) if split.artifact == artifact), Split(artifact, None))


def _version(evidence: Evidence, split: Split) -> str | None:
    if split.version is not None:
        return without_classifier(split.version)
    manifest = evidence.manifest
    for name in ("implementation-version", "plugin-version", "bundle-version", "specification-version"):
        if value := manifest.get(name):
            return value.split()[0]
    return None


def _bundle_name(manifest: Manifest) -> str:
    return manifest.get("bundle-symbolicname").partition(";")[0].strip()


def _is_maven_bundle(manifest: Manifest) -> bool:
    made = f"{manifest.get('created-by')} {manifest.get('tool')}".lower()
    return any(tool in made for tool in _BUNDLE_TOOLS)


def _from_bundle(bundle: str, split: Split) -> tuple[str, str]:
    """Group and artifact of a symbolic name made by Maven's bundle plugin.

    Its rules (DefaultMaven2OsgiConverter): group and artifact with a dot between, without what the artifact
    repeats of the group's end; or the artifact alone when it begins with the group.
    """
    artifact = split.artifact
    if bundle == artifact:
        return "", artifact
    if bundle.endswith(f".{artifact}"):
        group = bundle[: -len(artifact) - 1]
        return group if "." in group else bundle, artifact  # org.objenesis is the group of objenesis
    group, _, last = bundle.rpartition(".")
    end = group.rpartition(".")[2]
    if group and artifact == f"{end}-{last}":
        return group, artifact
    return "", artifact


def _group(evidence: Evidence, bundle: str, artifact: str) -> str:
    manifest = evidence.manifest
    for name in ("group-id", "implementation-vendor-id"):
        value = manifest.get(name)
        if _GROUP.fullmatch(value) and value not in _TOO_WIDE:
            return value
    if bundle.endswith(f".{artifact}") and bundle.count(".") > 1:
        return bundle[: -len(artifact) - 1]
    return _group_of_packages(evidence.package, artifact) or artifact


def _group_of_packages(package: str, artifact: str) -> str:
    """The package of all classes without what the artifact repeats: org/x/core of x-core is org.x."""
    parts = package.split("/") if package else []
    words = {*artifact.lower().split("-")[1:], *_INNER_PACKAGES}
    while len(parts) > 2 and parts[-1].lower() in words:
        parts.pop()
    group = ".".join(parts)
    return group if len(parts) >= 2 and group not in _TOO_WIDE else ""


def _instrumentation(manifest: Manifest) -> Coordinates | None:
    """New Relic's jars that weave another product are named after it, and are not it."""
    title = manifest.get("implementation-title")
    group, _, artifact = title.rpartition(".")
    if title.startswith("com.newrelic.instrumentation."):
        group = "com.newrelic.instrumentation"
        artifact = title.removeprefix(f"{group}.")
    return coordinates(group, artifact, manifest.get("implementation-version"))
