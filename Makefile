# make demo    builds locald and locald-shim, installs the shim, runs the first containers
# make test    all tests, in every place they run (test/run-tests)
# make clients podman, containerd and, in the guest, dockerd running containers with it (root; installs them)
# make systemd  containers whose cgroups systemd makes, in the guest
# make conformance  the validation suite of opencontainers/runtime-tools (root; installs crun and runc)
# make torture MINUTES=10  kills, stops and fails the verbs at every system call, races with them, and fuzzes (root; goes on where it ended)
# make bench   the figures (bench/run)
# make lint    what .ci/run checks beside the tests
# make dist    the programs for amd64 and arm64, their sums, what they are made of, and the release notes
# make fuzz    every fuzz test for FUZZTIME (default 10s)

BIN      ?= bin
FUZZTIME ?= 10s
MINUTES  ?= 10
VERSION  ?= $(shell git describe --tags --dirty 2>/dev/null)

# Static, and not position-independent, whatever GOFLAGS says: relocation costs the shim 0.7 ms of each start.
module  := github.com/locald/locald
ldflags := -s -w $(if $(VERSION),-X main.version=$(VERSION) -X $(module)/internal/shim.Version=$(VERSION))
gobuild := CGO_ENABLED=0 go build -trimpath -buildvcs=false -buildmode=default -ldflags "$(ldflags)"
sudo    := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: build demo test clients systemd conformance torture bench setup install fuzz lint clean check-go dist

build: check-go
	$(gobuild) -o $(BIN)/ ./cmd/locald ./cmd/locald-registry ./cmd/locald-shim

# go.mod asks for Go 1.26. A Go from 1.21 on fetches that by itself; an older one says something hard to read.
go  = $(or $(shell GOTOOLCHAIN=local go version 2>/dev/null | sed 's/^go version //'),no Go at all)
old = $(shell echo '$(go)' | grep -E '^(no Go|go1\.([0-9]|1[0-9]|20)[^0-9])')
check-go:
	$(if $(old),$(error locald needs Go 1.26 or newer (1.21 and newer fetch it by themselves); this is $(old)))@:

setup install: build
	$(sudo) $(BIN)/locald setup

demo: build
	@test/demo $(BIN)

test: check-go
	test/run-tests

clients: build
	test/run-clients

systemd: build
	test/run-systemd

conformance: build
	test/run-conformance

torture: check-go
	test/run-torture $(MINUTES)

bench: check-go
	bench/run

fuzz: check-go
	test/run-fuzz $(FUZZTIME)

lint: check-go
	.ci/run lint

# What each program is made of is in the program itself: go version -m. The notes of a release end in that.
dist: check-go
	@set -e; for arch in amd64 arm64; do GOARCH=$$arch $(MAKE) -s build BIN=dist/$$arch; done
	cd dist && go version -m */* >SBOM && sha256sum */* >SHA256SUMS && cat SHA256SUMS
	@{ awk '/^## / { n++ } n == 1' CHANGELOG.md; for file in SHA256SUMS SBOM; do printf '\n### %s\n\n```\n' $$file; cat dist/$$file; echo '```'; done; } >dist/RELEASE-NOTES.md

clean:
	rm -rf $(BIN) bench/.build dist
