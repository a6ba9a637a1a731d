# Everything the project needs is a target here; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO = $(or $(shell scripts/find-go),go)
GODIR = $(patsubst %/,%,$(dir $(GO)))
export GOTOOLCHAIN ?= auto
export CGO_ENABLED := 1
CONFIG ?= config.ini
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# The packages that need DPDK: their tests run once more with it, one after another, as root where that can be had.
WITH_DPDK = $$($(GO) list -f '{{.ImportPath}} {{join .Deps " "}}' ./... | grep -E 'fstack/(dpdk|ring)( |$$)' | cut -d' ' -f1 | grep -v /test)
AS_ROOT = $(if $(SUDO),$(shell sudo -n true 2>/dev/null && echo "-exec 'sudo -E env PATH=$(GODIR):$$PATH'"))

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

.PHONY: deps
deps: ## install what the build needs, where apt is
	@scripts/deps

.PHONY: libdpdk
libdpdk:
	@pkg-config --exists 'libdpdk >= 22.11' || { echo 'libdpdk 22.11 or newer is missing. Install it with: make deps  (on Debian and Ubuntu: apt-get install libdpdk-dev pkg-config gcc)'; exit 1; }
	@scripts/find-go >/dev/null || { echo 'Go 1.21 or newer is missing. Install it with: make deps'; exit 1; }

.PHONY: build
build: libdpdk ## build the programs of examples/ and tools/ into bin/
	@mkdir -p bin; echo 'Building into bin/ …'
	@$(GO) build -o bin/ $$($(GO) list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./examples/... $$([ ! -d tools ] || echo ./tools/...))

.PHONY: run
run: deps ## install, build, and serve a page from a stack over TAP (CONFIG=config.ini)
	@mkdir -p bin; echo 'Building bin/http …'
	@$(GO) build -o bin/ ./examples/http
	@echo 'Starting bin/http with $(CONFIG). Ctrl-C ends it and leaves nothing behind.'
	@exec $(SUDO) ./bin/http -c $(CONFIG)

.PHONY: test
test: libdpdk ## run all checks and tests, and say what was skipped
	@rm -f bin/skipped-*; failed=; \
	for t in check test-unit test-dpdk test-integration test-nic; do \
		echo; echo "== make $$t"; $(MAKE) --no-print-directory $$t || failed="$$failed $$t"; \
	done; \
	echo; echo '== skipped on this machine'; cat bin/skipped-* 2>/dev/null | sort -u | grep . || echo 'nothing'; \
	echo; [ -z "$$failed" ] || { echo "FAILED:$$failed"; exit 1; }; echo 'All passed.'

.PHONY: check
check: ## gofmt, go vet, and import "C" only behind its fence
	@out=$$($(GODIR)/gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo 'not gofmt-ed:'; echo "$$out"; exit 1; }
	@scripts/fence
	$(GO) vet ./...
	$(GO) vet -tags nodpdk ./...

.PHONY: test-unit
test-unit: ## run the tests that need no DPDK, with the race detector
	@mkdir -p bin
	$(GO) test -race -tags nodpdk -json ./... | $(GO) run ./test/summary bin/skipped-unit

.PHONY: test-dpdk
test-dpdk: libdpdk ## run the tests of the packages on DPDK
	@mkdir -p bin
	$(GO) test -p 1 $(AS_ROOT) -json $(WITH_DPDK) | $(GO) run ./test/summary bin/skipped-dpdk

.PHONY: test-integration
test-integration: libdpdk ## meet the Linux kernel over TAP, in namespaces
	$(GO) test -p 1 -count 1 -timeout 20m $(AS_ROOT) -json ./test | $(GO) run ./test/summary bin/skipped-integration

.PHONY: test-nic
test-nic: libdpdk ## drive a PCI network card, in a virtual machine by QEMU
	@mkdir -p bin
	$(GO) test -count 1 -timeout 15m $(AS_ROOT) -json ./test/nic | $(GO) run ./test/summary bin/skipped-nic

.PHONY: fuzz
fuzz: ## run each fuzz target for a while (FUZZTIME=30s)
	@for f in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
		for t in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$f/*_test.go | cut -c6-); do \
			$(GO) test -tags nodpdk -run '^$$' -fuzz "^$$t$$" -fuzztime $(or $(FUZZTIME),30s) $$f; \
		done; \
	done

.PHONY: bench
bench: build ## print what requests, streams and idle connections cost here and in the kernel (BENCH=-all)
	@mkdir -p bin/bench
	@$(GO) build -o bin/bench/ ./bench/... ./examples/epoll
	@$(SUDO) bin/bench/bench $(BENCH)

.PHONY: packetdrill
packetdrill: ## build bin/libfstack-packetdrill.so, this stack as a plug-in for packetdrill
	@mkdir -p bin
	$(GO) build -buildmode=c-shared -o bin/libfstack-packetdrill.so ./cmd/packetdrill

.PHONY: lint
lint: check ## go vet and, if they are there, golangci-lint and govulncheck
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo 'golangci-lint is not installed: only go vet ran'; fi
	@if command -v govulncheck >/dev/null; then govulncheck ./...; else echo 'govulncheck is not installed'; fi

.PHONY: tour
tour: ## print a packet's walk through the loop, step by step
	@scripts/tour

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
