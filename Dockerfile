# SPDX-License-Identifier: Apache-2.0
# One image for all programs, amd64 and arm64: docs/decisions/0013-image.md says why it is made like this.
# The base only builds. What the image holds are files of Debian packages and wheels that are pinned by version and
# checksum (scripts/image_build/packages.lock, requirements.lock), so another base of Debian 12 gives the same image.
#
# `scripts/image` builds it, and labels it with what it knows. By hand, with BuildKit or buildah:
#   docker build --build-arg BASE=debian:bookworm-slim --label org.opencontainers.image.source=https://… .
# For another architecture --platform linux/arm64: nothing of it runs, so it needs no emulation. buildah 1.28, which
# Debian 12 has, asks for --build-arg BUILDPLATFORM=linux/amd64 then, the machine's own.
ARG BASE=debian:bookworm-slim

# BUILDPLATFORM and TARGETARCH are the builders' own. A line `ARG BUILDPLATFORM` here would empty the one for some of
# them, and a default for the other would have BuildKit fill an image for arm64 with files for amd64.
FROM --platform=$BUILDPLATFORM ${BASE} AS build
ARG TARGETARCH
# One time for every file of every version: a layer that has not changed is not fetched again.
ARG SOURCE_DATE_EPOCH=315532800
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/image SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} LC_ALL=C.UTF-8
RUN case "$TARGETARCH" in amd64) cpu=x86-64 ;; arm64) cpu=aarch64 ;; \
        *) echo "found architecture $TARGETARCH, expected amd64 or arm64" >&2; exit 1 ;; esac && \
    dpkg --add-architecture "$TARGETARCH" && apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --no-install-recommends ca-certificates python3-pip "binutils-$cpu-linux-gnu" >/dev/null
COPY scripts/image_build /image/scripts/image_build
RUN python3 -m scripts.image_build debian --architecture "$TARGETARCH"
COPY requirements.lock /source/
# The secrets, both optional, are what a network between here and the packages may ask for: pip's configuration, and
# certificates. Neither ends up in a layer.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt,mode=0444 \
    python3 -m scripts.image_build wheels --architecture "$TARGETARCH"
COPY . /source
ARG VERSION=0.1.0
ARG CREATED
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,mode=0444 \
    --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt,mode=0444 \
    python3 -m scripts.image_build sensor --architecture "$TARGETARCH" --version "$VERSION" \
        --created "${CREATED:-1980-01-01T00:00:00Z}"

FROM scratch
# What changes least comes first.
COPY --from=build /layers/compiler /
COPY --from=build /layers/system /
COPY --from=build /layers/wheels /
COPY --from=build /layers/sensor /
# /dev/shm is a tmpfs that every container runtime mounts: with it, a read-only root needs no volume for /tmp. BCC's
# loader writes eight small headers there, and they are gone when it has compiled.
ENV PATH=/usr/local/bin:/usr/bin TMPDIR=/dev/shm
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="runtime-sensor" \
      org.opencontainers.image.description="Reports which language packages the containers of a Kubernetes node really load, seen with eBPF" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0 AND (GPL-2.0-only OR Apache-2.0)"
# Not root, unless asked for: `node` needs root and its capabilities (docs/decisions/0013-image.md), which the chart sets.
USER 65532:65532
WORKDIR /
ENTRYPOINT ["runtime-sensor"]
CMD ["--help"]
