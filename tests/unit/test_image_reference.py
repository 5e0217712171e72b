"""References as the grammar's own tests, Kubernetes, runtimes and people write them."""

from __future__ import annotations

import dataclasses

import pytest

from sensor.model.container import Image
from sensor.model.image_reference import (
    ImageReference,
    digest_of,
    image,
    image_name,
    normalised,
    repo_digest,
)
from tests.clock import at_little_cost

HEX = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"
D = "sha256:" + HEX
E = "sha256:" + "e" * 64
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
F512 = "sha512:" + "f" * 128
HUB = "docker.io"

Row = tuple[str, str, str, str | None, str | None, str]
"""Reference, domain, path, tag, digest, name."""

VALID: tuple[Row, ...] = (
    # Kubernetes, pkg/util/parsers/parsers_test.go TestParseImageName
    ("root", HUB, "library/root", "latest", None, "docker.io/library/root:latest"),
    ("root:tag", HUB, "library/root", "tag", None, "docker.io/library/root:tag"),
    (f"root@{EMPTY}", HUB, "library/root", None, EMPTY, f"docker.io/library/root@{EMPTY}"),
    ("user/repo", HUB, "user/repo", "latest", None, "docker.io/user/repo:latest"),
    ("user/repo:tag", HUB, "user/repo", "tag", None, "docker.io/user/repo:tag"),
    (f"user/repo@{EMPTY}", HUB, "user/repo", None, EMPTY, f"docker.io/user/repo@{EMPTY}"),
    ("url:5000/repo", "url:5000", "repo", "latest", None, "url:5000/repo:latest"),
    ("url:5000/repo:tag", "url:5000", "repo", "tag", None, "url:5000/repo:tag"),
    (f"url:5000/repo@{EMPTY}", "url:5000", "repo", None, EMPTY, f"url:5000/repo@{EMPTY}"),
    (f"url:5000/repo:latest@{EMPTY}", "url:5000", "repo", "latest", EMPTY, "url:5000/repo:latest"),
    # distribution/reference, normalize_test.go TestValidateReferenceName
    ("docker/docker", HUB, "docker/docker", "latest", None, "docker.io/docker/docker:latest"),
    ("docker.io/docker/docker", HUB, "docker/docker", "latest", None, "docker.io/docker/docker:latest"),
    ("docker.io/debian", HUB, "library/debian", "latest", None, "docker.io/library/debian:latest"),
    ("index.docker.io/debian", HUB, "library/debian", "latest", None, "docker.io/library/debian:latest"),
    ("index.docker.io/docker/docker", HUB, "docker/docker", "latest", None, "docker.io/docker/docker:latest"),
    ("127.0.0.1:5000/library/debian", "127.0.0.1:5000", "library/debian", "latest", None,
     "127.0.0.1:5000/library/debian:latest"),
    ("127.0.0.1:5000/debian", "127.0.0.1:5000", "debian", "latest", None, "127.0.0.1:5000/debian:latest"),
    ("192.168.0.1", HUB, "library/192.168.0.1", "latest", None, "docker.io/library/192.168.0.1:latest"),
    ("192.168.0.1:80", HUB, "library/192.168.0.1", "80", None, "docker.io/library/192.168.0.1:80"),
    ("192.168.0.1:8/debian", "192.168.0.1:8", "debian", "latest", None, "192.168.0.1:8/debian:latest"),
    ("[fc00::1]:5000/docker", "[fc00::1]:5000", "docker", "latest", None, "[fc00::1]:5000/docker:latest"),
    ("[fc00:1:2:3:4:5:6:7]:5000/library/debian", "[fc00:1:2:3:4:5:6:7]:5000", "library/debian",
     "latest", None,
     "[fc00:1:2:3:4:5:6:7]:5000/library/debian:latest"),
    (f"docker.io/{HEX}", HUB, f"library/{HEX}", "latest", None, f"docker.io/library/{HEX}:latest"),
    ("Docker/docker", "Docker", "docker", "latest", None, "Docker/docker:latest"),
    ("DOCKER/docker", "DOCKER", "docker", "latest", None, "DOCKER/docker:latest"),
    # … TestValidateRemoteName
    ("thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", HUB,
     "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "latest", None,
     "docker.io/library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev:latest"),
    ("docker-rules/docker", HUB, "docker-rules/docker", "latest", None,
     "docker.io/docker-rules/docker:latest"),
    ("docker---rules/docker", HUB, "docker---rules/docker", "latest", None,
     "docker.io/docker---rules/docker:latest"),
    ("d/docker", HUB, "d/docker", "latest", None, "docker.io/d/docker:latest"),
    ("jess/t", HUB, "jess/t", "latest", None, "docker.io/jess/t:latest"),
    ("dock__er/docker", HUB, "dock__er/docker", "latest", None, "docker.io/dock__er/docker:latest"),
    # … TestParseRepositoryInfo
    ("library/foo/bar", HUB, "library/foo/bar", "latest", None, "docker.io/library/foo/bar:latest"),
    ("store/foo/bar", HUB, "store/foo/bar", "latest", None, "docker.io/store/foo/bar:latest"),
    ("example.com:8000/private/moonbase", "example.com:8000", "private/moonbase", "latest", None,
     "example.com:8000/private/moonbase:latest"),
    ("ubuntu-12.04-base", HUB, "library/ubuntu-12.04-base", "latest", None,
     "docker.io/library/ubuntu-12.04-base:latest"),
    ("Foo/bar", "Foo", "bar", "latest", None, "Foo/bar:latest"),
    # … TestParseReferenceWithTagAndDigest, TestParseAnyReference, TestNormalizedSplitHostname
    (f"busybox:latest@{D}", HUB, "library/busybox", "latest", D, "docker.io/library/busybox:latest"),
    (f"docker.io/dmcgowan/myapp@{D}", HUB, "dmcgowan/myapp", None, D, f"docker.io/dmcgowan/myapp@{D}"),
    ("dbcc1", HUB, "library/dbcc1", "latest", None, "docker.io/library/dbcc1:latest"),
    (HEX[:-1], HUB, f"library/{HEX[:-1]}", "latest", None, f"docker.io/library/{HEX[:-1]}:latest"),
    ("test_com/foo", HUB, "test_com/foo", "latest", None, "docker.io/test_com/foo:latest"),
    ("test-com:8080/foo", "test-com:8080", "foo", "latest", None, "test-com:8080/foo:latest"),
    ("xn--n3h.com:18080/foo", "xn--n3h.com:18080", "foo", "latest", None, "xn--n3h.com:18080/foo:latest"),
    # distribution/reference, reference_test.go TestReferenceParse, normalised
    ("test.com:tag", HUB, "library/test.com", "tag", None, "docker.io/library/test.com:tag"),
    ("test.com:5000", HUB, "library/test.com", "5000", None, "docker.io/library/test.com:5000"),
    ("test:5000/repo:tag", "test:5000", "repo", "tag", None, "test:5000/repo:tag"),
    (f"test:5000/repo:tag@{D}", "test:5000", "repo", "tag", D, "test:5000/repo:tag"),
    ("lowercase:Uppercase", HUB, "library/lowercase", "Uppercase", None,
     "docker.io/library/lowercase:Uppercase"),
    ("sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux", "some-long-tag", None,
     "sub-dom1.foo.com/bar/baz/quux:some-long-tag"),
    ("b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app",
     "test.example.com", None, "b.gcr.io/test.example.com/my-app:test.example.com"),
    (f"xn--7o8h.com/myimage:xn--7o8h.com@{F512}", "xn--7o8h.com", "myimage", "xn--7o8h.com", F512,
     "xn--7o8h.com/myimage:xn--7o8h.com"),
    ("foo_bar.com:8080", HUB, "library/foo_bar.com", "8080", None, "docker.io/library/foo_bar.com:8080"),
    ("foo/foo_bar.com:8080", HUB, "foo/foo_bar.com", "8080", None, "docker.io/foo/foo_bar.com:8080"),
    ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050", None, "192.168.1.1:5000/repo:5050"),
    ("[2001:db8::1]/repo", "[2001:db8::1]", "repo", "latest", None, "[2001:db8::1]/repo:latest"),
    (f"[2001:db8::1]:5000/repo:tag@{D}", "[2001:db8::1]:5000", "repo", "tag", D,
     "[2001:db8::1]:5000/repo:tag"),
    ("[::1]:5000/repo", "[::1]:5000", "repo", "latest", None, "[::1]:5000/repo:latest"),
    # A first component that is neither a registry nor a user: the grammar takes it for a path.
    ("foo_bar.com/repo:1", "", "foo_bar.com/repo", "1", None, "foo_bar.com/repo:1"),
    # https://docs.docker.com/reference/cli/docker/image/tag/ and Snyk's documentation of Deployed
    ("my-app", HUB, "library/my-app", "latest", None, "docker.io/library/my-app:latest"),
    ("localhost/app", "localhost", "app", "latest", None, "localhost/app:latest"),
    ("localhost:5000/app", "localhost:5000", "app", "latest", None, "localhost:5000/app:latest"),
    ("localhost", HUB, "library/localhost", "latest", None, "docker.io/library/localhost:latest"),
    ("reg:5000/a/b:tag", "reg:5000", "a/b", "tag", None, "reg:5000/a/b:tag"),
    # Images of clusters, as kubeadm, EKS, AKS, GKE and OpenShift write them
    ("registry.k8s.io/kube-proxy:v1.29.3", "registry.k8s.io", "kube-proxy", "v1.29.3", None,
     "registry.k8s.io/kube-proxy:v1.29.3"),
    ("602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.11.1-eksbuild.4",
     "602401143452.dkr.ecr.eu-west-1.amazonaws.com", "eks/coredns", "v1.11.1-eksbuild.4", None,
     "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.11.1-eksbuild.4"),
    ("mcr.microsoft.com/oss/kubernetes/coredns:v1.9.4-hotfix.20240704", "mcr.microsoft.com",
     "oss/kubernetes/coredns", "v1.9.4-hotfix.20240704", None,
     "mcr.microsoft.com/oss/kubernetes/coredns:v1.9.4-hotfix.20240704"),
    (f"gke.gcr.io/kube-dns:1.22.28-gke.4@{D}", "gke.gcr.io", "kube-dns", "1.22.28-gke.4", D,
     "gke.gcr.io/kube-dns:1.22.28-gke.4"),
    (f"quay.io/openshift-release-dev/ocp-v4.0-art-dev@{D}", "quay.io",
     "openshift-release-dev/ocp-v4.0-art-dev",
     None, D, f"quay.io/openshift-release-dev/ocp-v4.0-art-dev@{D}"),
    # Limits: 255 characters of a path, 128 of a tag
    ("r.example/" + "a/" * 127 + "a", "r.example", "a/" * 127 + "a", "latest", None,
     "r.example/" + "a/" * 127 + "a:latest"),
    ("a:" + "t" * 128, HUB, "library/a", "t" * 128, None, "docker.io/library/a:" + "t" * 128),
)  # fmt: skip

INVALID: tuple[object, ...] = (
    # Kubernetes, pkg/util/parsers/parsers_test.go
    "ROOT", "http://root", EMPTY.removeprefix("sha256:"),
    # distribution/reference, normalize_test.go
    "https://github.com/docker/docker", "docker/Docker", "-docker", "-docker/docker",
    "-docker.io/docker/docker",
    "docker///docker", "docker.io/docker/Docker", "docker.io/docker///docker", "[fc00::1]", "[fc00::1]:5000",
    "fc00::1:5000/debian", "[fe80::1%eth0]:5000/debian", "[2001:db8:3:4::192.0.2.33]:5000/debian", HEX,
    "docker-/docker", "-docker-/docker", "____/____", "_docker/_docker", "dock..er/docker", "dock_.er/docker",
    "dock-.er/docker", "docker/", "this_is_not_a_valid_namespace" * 10 + "/docker", "busybox:-foo",
    "busybox@foo",
    # distribution/reference, reference_test.go
    "", ":justtag", f"@{D}", "repo@sha256:" + "f" * 34, "validname@invaliddigest:" + "f" * 64,
    "Uppercase:tag",
    "test:5000/Uppercase/lowercase:tag", "a/" * 128 + "a:tag", "aa/asdf$$^/aa", "[2001:db8::1]:tag",
    "[fe80::1%@invalidzone]:5000/repo",
    # ids
    f"sha256:{HEX}", HEX.upper(),
    # limits
    "a:" + "t" * 129, "r.example/" + "a/" * 127 + "aa", "a" * 1025, "r.example/" * 200,
    # look-alikes and junk
    "app ", " app", "app\n", "app:1\n", "app:", "app@", "app:1:2", f"app@{D}0", f"app@{D.upper()}",
    f"app@{D}@{D}",
    "app:tag@", "/app", "//", "r.example//app", "r.example:/app", "r.example:port/app",
    "r.example:5000:1/app",
    "äpp", "app:ä", "٣/app", "app:٣", "a\0b", "\ud800", "docker://app", "docker-pullable://app",
    "../app", "app/..",
    None, 5, b"app", ["app"], {}, True,
)  # fmt: skip


def test_the_table_is_long_enough() -> None:
    assert len({row[0] for row in VALID}) == len(VALID) >= 60


@pytest.mark.parametrize("row", VALID, ids=lambda row: row[0])
def test_reference(row: Row) -> None:
    reference, domain, path, tag, digest, name = row
    parsed = ImageReference.parse(reference)
    assert parsed == ImageReference(domain, path, tag, digest)
    assert parsed.name == normalised(reference) == image_name(reference) == name


@pytest.mark.parametrize("row", VALID, ids=lambda row: row[0])
def test_a_name_names_itself(row: Row) -> None:
    parsed = ImageReference.parse(row[5])
    assert parsed is not None
    assert parsed.name == row[5]
    assert (parsed.domain, parsed.path, parsed.tag) == row[1:4]


@pytest.mark.parametrize("reference", INVALID)
def test_no_reference(reference: object) -> None:
    assert ImageReference.parse(reference) is None
    assert normalised(reference) is None


def test_hostile_text_costs_little() -> None:
    hostile = ("a-" * 500, "a." * 500 + "/", "a__" * 330 + "!", "[" + ":" * 1000 + "]/", "a/" * 500 + "!")
    with at_little_cost():
        for text in hostile:
            for _ in range(200):
                ImageReference.parse(text)
                digest_of(text)


class TestImageName:
    @pytest.mark.parametrize("written", ["ROOT", "docker/Docker", "r.example:5000/A:1", f"app@{D}0", "app "])
    def test_what_is_no_reference_stays_as_written(self, written: str) -> None:
        assert image_name(written) == written

    @pytest.mark.parametrize(
        "junk", ["", HEX, D, "a\n", "\x1b[2J", "\ud800", "\u202e", "x" * 1025, None, 5, b"app", [], {}]
    )
    def test_nothing(self, junk: object) -> None:
        assert image_name(junk) is None


class TestDigest:
    @pytest.mark.parametrize(
        "written",
        [
            # status.imageID of dockershim and cri-dockerd, of containerd and CRI-O
            f"docker-pullable://quay.io/coreos/flannel@{D}",
            f"gcr.io/spiffe-io/spire-agent@{D}",
            f"docker.io/library/redis@{D}",
            f"app:1@{D}",
            f"app@{D}",
            f"@{D}",
        ],
    )
    def test_of_a_manifest(self, written: str) -> None:
        assert digest_of(written) == D

    def test_other_algorithms(self) -> None:
        assert digest_of(f"app@{F512}") == F512

    @pytest.mark.parametrize(
        "written",
        [
            # ids: a digest of the image's configuration is not its manifest's
            f"docker://{D}", D, HEX, f"docker://{HEX}",
            "app:1", "", "@", f"app@{D}0", f"app@{D[:-1]}", f"app@{D.upper()}", f"app@{D}\n",
            "app@md5:" + "0" * 32,
            "x" * 2000 + f"@{D}", None, 5, b"app", [f"app@{D}"], {},
        ],
    )  # fmt: skip
    def test_none(self, written: object) -> None:
        assert digest_of(written) is None


class TestRepoDigest:
    DIGESTS = (f"mirror.example/library/app@{E}", f"docker.io/library/app@{D}")

    @pytest.mark.parametrize("name", ["app", "app:1", "docker.io/app", "index.docker.io/library/app:2"])
    def test_of_the_repository_that_is_named(self, name: str) -> None:
        assert repo_digest(name, list(self.DIGESTS)) == repo_digest(name, self.DIGESTS) == D

    @pytest.mark.parametrize("name", ["other/app", "APP", HEX, None, 5])
    def test_else_the_first(self, name: object) -> None:
        assert repo_digest(name, self.DIGESTS) == E

    def test_docker_writes_short_names(self) -> None:
        assert repo_digest("docker.io/library/app:1", [f"x/app@{E}", f"app@{D}"]) == D

    def test_what_is_written_counts_more(self) -> None:
        assert repo_digest(f"app@{E}", [f"app@{D}"]) == E

    def test_junk_is_passed_over(self) -> None:
        assert repo_digest("app", [None, 5, "app", D, "<none>@<none>", f"app@{D}"]) == D

    @pytest.mark.parametrize("digests", [None, 5, "x", {}, [], [D], [None], ["<none>@<none>"], f"app@{D}"])
    def test_none(self, digests: object) -> None:
        assert repo_digest("app", digests) is None

    def test_a_long_list_is_cut(self) -> None:
        assert repo_digest("app", [f"x/y@{E}"] * 100_000 + [f"app@{D}"]) == E


class TestImage:
    def test_name_and_digest(self) -> None:
        assert image(f"app:1@{D}") == Image("docker.io/library/app:1", D)

    def test_from_the_first_source_that_tells(self) -> None:
        assert image("app", HEX, f"docker://{D}", [f"x/app@{E}", f"app@{D}"]).digest == D
        assert image("app", f"docker-pullable://app@{E}", [f"app@{D}"]).digest == E

    def test_nothing(self) -> None:
        assert image(None) == image(HEX, None, 5, [], D) == Image()

    def test_frozen(self) -> None:
        parsed = ImageReference.parse("app")
        assert parsed is not None
        with pytest.raises(dataclasses.FrozenInstanceError):
            parsed.tag = "2"  # type: ignore[misc]
