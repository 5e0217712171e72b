# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help
.PHONY: help setup lint test unit test-cluster apiserver charts addon image image-kernels cluster cluster-down test-kubernetes e2e kernels demo accuracy fuzz bench chaos endurance proto lock clean
MAKEFLAGS += --no-print-directory
BIN := .venv/bin

help:  # list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install what is missing (distribution packages, .venv); nothing to do takes under 2 s
	@scripts/setup

demo: setup  ## as root: two real containers, the sensor, a receiver and its page; DEMO=--stay keeps them
	@$(BIN)/python -m tests.demo $(DEMO)

test: lint charts  ## as root: lint, then every test: real kernel, real containers, guests with other kernels
	@scripts/test

test-cluster: apiserver charts  ## as root: real API server, real containerd: is every container whose it says it is
	@scripts/test-cluster

apiserver: setup  ## build the kube-apiserver that test-cluster runs, once, into the user's cache
	@$(BIN)/python -m tests.cluster.build

unit: charts  ## the tests that need neither root nor containers
	@$(BIN)/pytest

charts: setup  ## the helms and the schemas of Kubernetes that tests of the chart need, once, into the user's cache
	@scripts/helm >/dev/null
	@$(BIN)/python -m tests.charts.kubernetes_schemas

addon: charts  ## the chart as an EKS add-on, checked by AWS's rules, into dist/; ADDON="--image REGISTRY/REPOSITORY:TAG"
	@$(BIN)/python -m tests.charts.addon_package $(ADDON)

image: setup  ## as root: the container image; IMAGE="--arch arm64" for that one, IMAGE=--again builds twice and compares
	@scripts/image $(IMAGE)

image-kernels: setup  ## as root: the image itself on stock Debian kernels, both architectures; IMAGE_KERNELS="--kernel 6.1"
	@scripts/setup kernels
	@$(BIN)/python -m tests.image $(IMAGE_KERNELS)

cluster: setup  ## as root: a real Kubernetes of one node on this machine, apart from it; builds its programs once (minutes)
	@$(BIN)/python -m tests.kubernetes up

cluster-down:  ## as root: end it, with all that it made
	@$(BIN)/python -m tests.kubernetes down

test-kubernetes: setup  ## as root: is the node of make cluster one, and does nothing of it stay
	@$(BIN)/pytest --kubernetes tests/kubernetes

e2e: image  ## as root: chart and image in that cluster, by the real helm, with a receiver; E2E=--keep leaves it running
	@scripts/helm v3_19 >/dev/null
	@$(BIN)/python -m tests.kubernetes.e2e \
		--archive build/image/runtime-sensor-$$($(BIN)/python -c 'import sensor; print(sensor.__version__)')-$$(dpkg --print-architecture).tar $(E2E)

lint: setup  ## ruff, mypy, import contracts, licence and registry checks
	@scripts/lint

accuracy: setup  ## as root: 65 real applications, each asked for its own truth; writes docs/accuracy.md
	@$(BIN)/python -m tests.accuracy $(ACCURACY)

fuzz: setup  ## hostile bytes for every parser, five minutes of them; FUZZ="--inputs 1000000" for as many
	@$(BIN)/python -m tests.fuzz $(FUZZ)

bench: apiserver  ## as root: what the sensor costs, beside its peers; writes build/bench.json and docs/performance.svg
	@scripts/setup bench
	@$(BIN)/python -m tests.bench $(BENCH)

chaos: setup  ## as root: sensor and receiver killed again and again; what arrives is compared with the truth
	@$(BIN)/python -m tests.chaos $(CHAOS)

endurance: setup  ## as root: ten container starts a second for an hour, nothing may grow; ENDURANCE="--minutes 10"
	@$(BIN)/python -m tests.endurance $(ENDURANCE)

kernels: setup  ## stock Debian kernels in guests, every hook on each; writes docs/kernels.md; KERNELS=--quick
	@scripts/setup kernels
	@$(BIN)/python -m tests.kernels $(KERNELS)

proto: setup  ## generate the code of our gRPC service and of the container runtimes'
	@scripts/proto

lock:  ## pin the newest dependencies with their hashes
	@scripts/lock

clean:  ## remove everything that was built, .venv included
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
