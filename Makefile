# scriptbridge. `make` builds it, `make test` tests it, `make help` lists the
# rest. GNU make; Go and git are needed, for the tests also python3 and, for
# the race detector, a C compiler. What a target needs beyond that, it says.

.DEFAULT_GOAL := build
GO ?= go

# All packages but the end-to-end tests, which need a Prometheus (`make e2e`), and
# those of what is installed (`make packages-test`).
PACKAGES = $(shell $(GO) list ./... | grep -v -e '/e2e$$' -e '/packaging$$')

# --- Building ---------------------------------------------------------------

# What an archive or a package has besides the binary. The same is in .promu.yml.
DOCS := LICENSE README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs examples dashboards

# What a binary says of itself, in --version and scriptbridge_build_info.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null | sed 's/^v//')
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
BUILDER  ?= $(shell id -un)@$(shell uname -n)
DATE     ?= $(shell date -u +%Y%m%d-%H:%M:%S)

# The same flags stand in .promu.yml. Go's own VCS stamp is off: it adds
# nothing to ours and fails in a checkout that somebody else owns.
STAMP    := github.com/prometheus/common/version
GO_BUILD  = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w \
	-X $(STAMP).Version=$(VERSION) -X $(STAMP).Revision=$(REVISION) -X $(STAMP).Branch=$(BRANCH) \
	-X $(STAMP).BuildUser=$(BUILDER) -X $(STAMP).BuildDate=$(DATE)'

.PHONY: build
build: ## build ./scriptbridge, static
	$(GO_BUILD) -o scriptbridge .

# For which a release has files, as promu names them. The same is in .promu.yml, and what is
# known of each in docs/install.md.
PLATFORMS ?= linux-386 linux-amd64 linux-arm64 linux-armv5 linux-armv6 linux-armv7 linux-mips64le linux-ppc64le \
	linux-riscv64 linux-s390x darwin-amd64 darwin-arm64 windows-amd64 windows-arm64 \
	freebsd-amd64 freebsd-arm64 netbsd-amd64 openbsd-amd64
# What a change is built for, since each takes a minute: what runs here, by itself or emulated.
KINDS     ?= linux-386 linux-amd64 linux-arm64 linux-armv7 linux-riscv64 linux-s390x windows-amd64
# What qemu runs.
EMULATED   = linux-arm64 linux-armv7 linux-riscv64 linux-s390x
# The environment of one, such as GOOS=linux GOARCH=arm GOARM=7.
PLATFORM   = GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(patsubst armv%,arm,$(word 2,$(subst -, ,$*))) \
	$(patsubst armv%,GOARM=%,$(filter armv%,$(subst -, ,$*)))

.PHONY: cross kinds
cross: $(PLATFORMS:%=cross-%) ## build for all platforms, into .build/ (a quarter of an hour)
kinds: $(KINDS:%=cross-%) ## build for the platforms that run here, and see that the types of all packages and tests are right for every one
	$(GO) -C tools/platforms run . $(CURDIR) $(PLATFORMS)
cross-%:
	$(PLATFORM) $(GO_BUILD) -o .build/$*/ .

# promu has a module of its own, so that what it needs is nothing to us.
PROMU = $(GO) tool -modfile=tools/go.mod promu

.PHONY: promu tarball
promu: ## build ./scriptbridge as a release does (.promu.yml)
	$(PROMU) build
tarball: promu ## pack ./scriptbridge and its files, into .tarballs/
	$(PROMU) tarball

# --- Packages ---------------------------------------------------------------

# The version as dpkg and rpm compare it: what follows a tag is newer than it, and
# without a tag everything is older than the first one.
PACKAGE_VERSION ?= $(shell git describe --tags --dirty 2>/dev/null | sed 's/^v//; s/-\([0-9]*\)-g/+\1.g/; s/-dirty$$/+dirty/; s/-\([a-z]\)/~\1/' | grep '^[0-9]' || \
	echo "0.0.0~$$(git rev-list --count HEAD).g$$(git rev-parse --short HEAD)")
# All of Linux but one: for Debian, ARMv6 and ARMv7 have one name.
PACKAGE_ARCHS ?= $(patsubst linux-%,%,$(filter-out linux-armv6,$(filter linux-%,$(PLATFORMS))))
NFPM = $(GO) tool -modfile=tools/go.mod nfpm

.PHONY: packages package-files
packages: $(PACKAGE_ARCHS:%=package-%) ## deb and rpm packages for linux, into .packages/
package-%: package-files cross-linux-%
	for packager in deb rpm; do \
		ARCH=$* NAME=$(patsubst armv%,arm%,$*) PACKAGE_VERSION='$(PACKAGE_VERSION)' $(NFPM) package --config packaging/nfpm.yaml --packager $$packager --target .packages/ || exit 1; \
	done
# What is made for a package, in the same bytes each time.
package-files: build
	rm -rf .build/package && mkdir -p .build/package/doc .packages
	./scriptbridge --help-man | gzip -9n >.build/package/scriptbridge.1.gz
	./scriptbridge --completion-script-bash >.build/package/completion.bash
	./scriptbridge --completion-script-zsh >.build/package/completion.zsh
	sed 's|/usr/local/bin/|/usr/bin/|' examples/scriptbridge.service >.build/package/scriptbridge.service
	git ls-files $(DOCS) | tar -cT - | tar -x -C .build/package/doc
	find .build/package/doc -type d -exec chmod 755 {} + && find .build/package/doc -type f -exec chmod u=rw,go=r,a+X {} +

# buildah, or docker, which makes no lists of images and so only those of its own
# architecture. BASE may be an image that is here already.
BUILDAH     ?= buildah
IMAGE       ?= localhost/scriptbridge
IMAGE_ARCHS ?= amd64 arm64
BASE        ?= docker.io/library/debian:bookworm-slim
OWN_ARCH     = $(shell $(GO) env GOHOSTARCH)
WITH_DOCKER  = $(filter docker,$(notdir $(firstword $(BUILDAH))))
BUILD_IMAGE  = $(BUILDAH) build --network=host --build-arg BASE=$(BASE) -f packaging/Dockerfile

.PHONY: images push-images
images: ## build the images: VERSION with sh and python3, and VERSION-static of the binary alone for all of IMAGE_ARCHS
	for arch in $(sort $(OWN_ARCH) $(IMAGE_ARCHS)); do GOOS=linux GOARCH=$$arch $(GO_BUILD) -o .build/linux-$$arch/ . || exit 1; done
	$(BUILD_IMAGE) --build-arg TARGETARCH=$(OWN_ARCH) --target full --tag $(IMAGE):$(VERSION) --tag $(IMAGE):latest .
ifeq ($(WITH_DOCKER),)
	@# --platform would want a base of that architecture too, which is only read here.
	for arch in $(IMAGE_ARCHS); do \
		image=$(IMAGE):$(VERSION)-static-$$arch; \
		$(BUILD_IMAGE) --build-arg TARGETARCH=$$arch --target static --tag $$image . && \
		made=$$($(BUILDAH) from $$image) && $(BUILDAH) config --arch $$arch $$made && $(BUILDAH) commit --rm $$made $$image || exit 1; \
	done
	for list in $(VERSION)-static latest-static; do \
		$(BUILDAH) manifest rm $(IMAGE):$$list 2>/dev/null; \
		$(BUILDAH) manifest create $(IMAGE):$$list $(IMAGE_ARCHS:%=$(IMAGE):$(VERSION)-static-%) || exit 1; \
	done
else
	$(BUILD_IMAGE) --build-arg TARGETARCH=$(OWN_ARCH) --target static --tag $(IMAGE):$(VERSION)-static --tag $(IMAGE):latest-static .
endif
push-images: ## push what `make images` has built
	for tag in $(VERSION) latest $(if $(WITH_DOCKER),$(VERSION)-static latest-static); do $(BUILDAH) push $(IMAGE):$$tag || exit 1; done
ifeq ($(WITH_DOCKER),)
	for list in $(VERSION)-static latest-static; do $(BUILDAH) manifest push --all $(IMAGE):$$list docker://$(IMAGE):$$list || exit 1; done
endif

# What is tested is made anew. The chart's tests are a module of their own.
.PHONY: packages-test chart
packages-test: export SCRIPTBRIDGE_E2E ?= required
packages-test: ## install, upgrade and remove the packages, and run the images, in a Debian of its own (as root; debootstrap, rpm, buildah, podman, runc)
	rm -rf .packages
	$(MAKE) packages PACKAGE_ARCHS=$$($(GO) env GOARCH)
	$(GO) test -count=1 -timeout 30m $(TESTFLAGS) ./packaging
chart: build ## lint the Helm chart and render it; `check` reads what it makes
	rm -rf .build/chart && mkdir -p .build/chart/scripts
	(umask 077; echo 0123456789abcdef0123456789abcdef >.build/chart/tokens)
	cd packaging/chart/test && RENDERED=$(CURDIR)/.build/chart $(GO) test -count=1 $(TESTFLAGS) ./...
	for f in .build/chart/*.yml; do \
		sed -i 's|/opt/scriptbridge/scripts|$(CURDIR)/.build/chart/scripts|; s|/etc/scriptbridge-tokens/tokens|$(CURDIR)/.build/chart/tokens|' $$f && \
		./scriptbridge check $$f || exit 1; \
	done

# --- Releases ---------------------------------------------------------------

.PHONY: release release-notes sbom
release: ## all files of a release, into .release/
	rm -rf .packages .release
	$(MAKE) cross packages sbom release-notes
	cp .packages/* .release/
	for p in $(PLATFORMS); do \
		name=scriptbridge-$(VERSION).$$p; \
		case $$p in windows-*) \
			TZ=UTC git archive --format=zip --output=.release/$$name.zip --prefix=$$name/ --add-file=.build/$$p/scriptbridge.exe HEAD $(DOCS) || exit 1; continue ;; \
		esac; \
		rm -rf .build/tar && mkdir -p .build/tar/$$name && \
		git ls-files $(DOCS) packaging/completion.fish | tar -cT - | tar -x -C .build/tar/$$name && \
		cp .build/$$p/* .build/tar/$$name/ && \
		tar -czf .release/$$name.tar.gz --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$$(git log -1 --format=%ct) -C .build/tar $$name || exit 1; \
	done
	cd .release && rm -f SHA256SUMS && sha256sum -- scriptbridge* >SHA256SUMS
sbom: build ## what the binary is made of, as CycloneDX
	mkdir -p .release
	$(GO) tool -modfile=tools/go.mod cyclonedx-gomod bin -json -version '$(VERSION)' -output .release/scriptbridge.cdx.json scriptbridge
# A version of three numbers is a release, and must have its section.
release-notes: ## what the CHANGELOG says of this version, or what is not released yet
	mkdir -p .release
	version='$(VERSION)'; case $$version in *[!0-9.]*) version=Unreleased ;; *.*.*) ;; *) version=Unreleased ;; esac; \
	awk -v heading="## [$$version]" '/^## / { on = index($$0, heading) == 1; next } on && (some || NF) { some = 1; print }' CHANGELOG.md >.release/notes.md; \
	test $$version = Unreleased || test -s .release/notes.md || { echo "CHANGELOG.md says nothing of $$version: give it a section '## [$$version] - $$(date +%Y-%m-%d)'"; exit 1; }

# --- Testing ----------------------------------------------------------------

# The race detector where it can be had: it needs cgo.
RACE      = $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
# More flags for go test, such as -count=1 or -run=Name.
TESTFLAGS ?=

# The interpreter for the tests of the Python package in script/dialect/scalyr/python,
# which is made for Python 3.6 and newer. SCALYR_AGENT may name a checkout of the agent
# to hold it against.
PYTHON    ?= python3

# Tests in which processes replace themselves as fast as the machine allows.
STORMS     = ^TestContained$$|^TestRunLeavesNothingOfAStorm$$
# Tests that do one thing after the other, very often: the race detector has nothing to say
# of them, and makes minutes of seconds.
SERIAL     = ^TestCompletion$$|^TestReloadEveryKey$$

.PHONY: test test-386 test-python vet
test: vet test-python ## run the tests
	$(GO) test $(RACE) -timeout 30m $(TESTFLAGS) -skip '$(STORMS)|$(SERIAL)' $(filter-out %/script/process,$(PACKAGES))
	@# -count=1: it reads files of this module, which its cache does not look at.
	$(GO) -C tools/benchtable test -count=1 $(TESTFLAGS) ./...
	@# By themselves: storms of processes leave little of the machine to others.
	$(GO) test $(RACE) -timeout 30m $(TESTFLAGS) -skip '$(STORMS)' ./script/process
	@# With the race detector a sweep is several times slower, and the largest win.
	$(GO) test -timeout 30m $(TESTFLAGS) -run '$(STORMS)' ./script/process
	$(GO) test -timeout 30m $(TESTFLAGS) -run '$(STORMS)|$(SERIAL)' .
	@# The race detector itself cannot read a damaged file.
	$(GO) test $(TESTFLAGS) -run '^TestDamage' ./internal/store ./upload/spool ./coscale/server
	@# Nor does it tell how much memory the program takes without it.
	$(GO) test $(TESTFLAGS) -run '^TestDataFlood|^TestScenarios$$/^too-large$$' .
# Words of 32 bits, where nothing needs to be emulated. What only takes long is left out.
# TestUnit…: their filter of system calls knows those of x86-64.
test-386: ## run the tests as 386, which an amd64 does by itself
	GOARCH=386 CGO_ENABLED=0 $(GO) test -short -timeout 30m $(TESTFLAGS) -skip '$(STORMS)|^TestUnit' $(PACKAGES)
test-python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) is missing: the tests of script/dialect/scalyr/python need Python 3.6 or newer"; exit 1; }
	$(PYTHON) -W error -m unittest discover -s script/dialect/scalyr/python/tests
vet:
	$(GO) vet ./...

# The same tests, of the program for Windows. A prefix of Wine is its drive C:; it is made anew
# when what makes it has changed.
WINE_PREFIX   = .build/wine
WINE_PACKAGES = $(PACKAGES)

.PHONY: wine wine-prefix wine-python
wine: wine-prefix wine-python ## run the tests of the Windows build under Wine (Debian: wine64, gcc-mingw-w64-x86-64-win32)
	GOOS=windows GOARCH=amd64 $(GO) vet ./...
	GO='$(GO)' TESTFLAGS='$(TESTFLAGS)' tools/wine/test $(WINE_PACKAGES)
# A pipe: Wine's programs take no file for their output.
wine-python: wine-prefix ## run the tests of the Python package with Windows' Python, under Wine
	tools/wine/run 'C:\Python\python.exe' -W error -m unittest discover -s script/dialect/scalyr/python/tests \
		</dev/null 2>&1 | { cat; } >.build/wine-python.log; cat .build/wine-python.log; grep -q '^OK' .build/wine-python.log
wine-prefix: $(WINE_PREFIX)/made
$(WINE_PREFIX)/made: $(wildcard tools/wine/* tools/wine/*/*)
	tools/wine/prefix
	touch $@

# Without `required` a test whose programs are missing is skipped.
.PHONY: e2e
e2e: export SCRIPTBRIDGE_E2E ?= required
e2e: export SCRIPTBRIDGE_FAULTS ?= short
e2e: ## run the end-to-end tests (need Debian's prometheus, which has promtool too, and prometheus-node-exporter)
	$(GO) test -count=1 -timeout 20m $(TESTFLAGS) ./e2e

.PHONY: emulated
emulated: export SCRIPTBRIDGE_E2E ?= required
emulated: $(EMULATED:%=cross-%) ## run the program as other processors, and compare (Debian: qemu-user-static)
	SCRIPTBRIDGE_EMULATED='$(EMULATED)' $(GO) test -count=1 $(TESTFLAGS) -run '^TestEmulated' ./e2e

.PHONY: units
units: export SCRIPTBRIDGE_E2E ?= required
units: ## check the systemd units, and run the bridge with their rights (as root; Debian: systemd)
	$(GO) test -count=1 $(TESTFLAGS) -run '^TestUnit' .

# What drives the browser is a module of its own, too.
.PHONY: pages
pages: export SCRIPTBRIDGE_E2E ?= required
pages: build ## look at the pages in a browser, with axe-core (Debian: chromium); TESTFLAGS='-run Pictures -update' makes the README's pictures
	cd web/browser && SCRIPTBRIDGE=$(CURDIR)/scriptbridge $(GO) test -count=1 $(TESTFLAGS) ./...

# What was acknowledged must have arrived, whatever breaks: it writes the table of
# docs/reliability.md, each row when it is known.
.PHONY: faults
faults: export SCRIPTBRIDGE_E2E ?= required
faults: ## break disks, peers, clocks and outputs under load (as root, half an hour)
	SCRIPTBRIDGE_FAULTS=full $(GO) test -count=1 -v -timeout 2h -run '^TestFault' $(TESTFLAGS) ./e2e

# A time, or a number of inputs with an x. Until Go 1.27 a run limited by time
# may end in `context deadline exceeded` with nothing found (go.dev/issue/75804).
# Making an input smaller is bounded too: by default each new one holds a worker
# up for a minute.
FUZZTIME ?= 30s
# Which targets, as a regular expression.
FUZZ     ?= ^Fuzz

.PHONY: fuzz
fuzz: ## fuzz every target of every package for FUZZTIME
	@list=$$($(GO) test -list '$(FUZZ)' $(PACKAGES)) || { echo "$$list"; exit 1; }; \
	targets=$$(echo "$$list" | awk '/^Fuzz/ { names[n++] = $$1 } \
		/^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }'); \
	test -n "$$targets" || { echo "no fuzz target matches $(FUZZ)"; exit 1; }; \
	echo "$$targets" | while read -r package target; do \
		echo "== $$target ($$package)"; \
		$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "$$package" || exit 1; \
	done

BENCH     ?= .
BENCHTIME ?= 1s

.PHONY: bench
bench: ## run the benchmarks, one package after the other
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -p 1 $(TESTFLAGS) $(PACKAGES)

# The benchmarks that have a limit. What reads and draws them is a module of its own.
# BENCHTABLE: more flags, such as -short, or -run=Scrape, which only shows.
.PHONY: bench-table
bench-table: ## run the benchmarks that have a limit, and write docs/performance.md (Debian: prometheus-node-exporter; 12 minutes)
	$(GO) -C tools/benchtable build -o $(CURDIR)/.build/benchtable .
	.build/benchtable -root . $(BENCHTABLE)

# --- Style ------------------------------------------------------------------

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT ?= $(shell command -v golangci-lint || echo $$($(GO) env GOPATH)/bin/golangci-lint)

.PHONY: tools lint-version lint fmt
tools: ## install the pinned golangci-lint (minutes)
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

lint-version:
	@test "v$$($(GOLANGCI_LINT) version --short 2>/dev/null)" = $(GOLANGCI_LINT_VERSION) || \
		{ echo "golangci-lint $(GOLANGCI_LINT_VERSION) is needed: make tools"; exit 1; }

lint: lint-version ## check the rules (.golangci.yml)
	$(GOLANGCI_LINT) run
	@for f in $$(grep -rl --include='*_test.go' 'time\.Sleep(' .); do \
		grep -q '"testing/synctest"' "$$f" || \
		{ echo "$$f sleeps: a test is given its time (testing/synctest) or polls for the event"; exit 1; }; \
	done
	@if command -v flake8 >/dev/null; then flake8 --config=script/dialect/scalyr/python/.flake8 script/dialect/scalyr/python examples/scalyr; \
		else echo "flake8 is missing: the Python files are not checked (apt-get install flake8)"; fi

fmt: lint-version ## format all Go files
	$(GOLANGCI_LINT) fmt

# ----------------------------------------------------------------------------

.PHONY: clean help
clean: ## remove what was built
	rm -rf scriptbridge scriptbridge.exe .build .packages .tarballs .release

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
