# Everything that one does with this tree. `make test` and `make demo` want root; both remove what they make.
RID ?= linux-x64
DOTNET ?= dotnet
# No terminal tricks and no build servers that outlive the command.
export DOTNET_CLI_TELEMETRY_OPTOUT = 1
export DOTNET_NOLOGO = 1
export MSBUILDDISABLENODEREUSE = 1
export MSBUILDTERMINALLOGGER = off

SOURCES := $(shell find src -name '*.cs' -o -name '*.csproj') Directory.Build.props Directory.Packages.props

.DEFAULT_GOAL := build
.PHONY: help build publish test test-build fuzz demo soak kernel-test kernel-compare bench bench-micro package package-test docker-test format format-check clean

## What can be made.
help:
	@awk '/^## / { text = substr($$0, 4); next } /^[a-z-]+:/ && text { sub(/:.*/, "", $$1); printf "make %-14s %s\n", $$1, text } { text = "" }' $(MAKEFILE_LIST)

## Everything, with analyzers as errors.
build:
	$(DOTNET) build Emulator.sln -c Release -v q

## The shipped program: one native executable.
publish: out/xfrmd

out/xfrmd: $(SOURCES)
	@[ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || tests/install-tools.sh --build || echo "make: going on with what is there"
	$(DOTNET) publish src/Cli/Cli.csproj -c Release -r $(RID) -p:PublishAot=true -v q -o out/publish
	install -m 755 out/publish/xfrmd $@

## All tests; ends with "N passed, N failed".
test: publish test-build
	tests/run.sh

test-build:
	$(DOTNET) build Emulator.sln -c Release -v q

## Two gateways, two unmodified charons, one tunnel.
demo:
	tests/install-tools.sh --base
	@$(MAKE) --no-print-directory publish
	@demo/demo.sh

## A hundred rekeyings under full load: no connection breaks, no packet lacks its SA.
soak: publish
	$(DOTNET) build tests/Interop -c Release -v q
	XFRMD_REKEYINGS=100 $(DOTNET) test tests/Interop -c Release --no-build --nologo -v q --filter FullyQualifiedName~RekeyTests

## charon on xfrmd against charon on a real Linux kernel in qemu (minutes; the kernel is Debian's).
kernel-test: publish
	tests/kernel/test.sh

SEED ?= 1
COUNT ?= 500
## Random netlink and PF_KEY requests: xfrmd's answers beside a real Linux's in qemu, byte for byte. SEED and COUNT choose them. LINUX=6.18 asks that.
kernel-compare: publish
	SEED=$(SEED) COUNT=$(COUNT) tests/kernel/compare.sh

## xfrmd beside kernel-libipsec, wireguard-go and the bare cable; writes docs/benchmarks.md. ROUNDS=1 for a look.
bench: publish
	tests/install-tools.sh --base
	$(DOTNET) build bench/Bench.csproj -c Release -v q
	bench/bench.sh

FILTER ?= *

## BenchmarkDotNet, each part of the packet path by itself: FILTER='*Esp*' for some.
bench-micro:
	$(DOTNET) run -c Release --project bench -- --filter '$(FILTER)'

XFRMD_FUZZ_SECONDS ?= 600
## All fuzz targets for longer than in `make test`: XFRMD_FUZZ_SECONDS for each test.
fuzz:
	XFRMD_FUZZ_SECONDS=$(XFRMD_FUZZ_SECONDS) $(DOTNET) test tests/Fuzz -c Release --nologo -v q

## A Debian package in out/.
package: publish
	packaging/build-deb.sh

## Installs the package, runs its units, uses it, removes it.
package-test: package
	packaging/test.sh

## The Docker lab from nothing to nothing (minutes; makes an engine of its own).
docker-test:
	docker/test.sh

## The one layout (dotnet format).
format:
	$(DOTNET) format Emulator.sln

format-check:
	$(DOTNET) format Emulator.sln --verify-no-changes

## Removes what was built.
clean:
	rm -rf out TestResults
	find src tests bench -type d \( -name bin -o -name obj \) -prune -exec rm -rf {} +
