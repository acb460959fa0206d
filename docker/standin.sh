# Sourced. Where base images cannot be pulled: stand-ins under their names, made from Debian's packages and the machine's own SDK. They
# prove the Dockerfile's steps, package names, capabilities and the compose file, not the real images.
SDK_IMAGE=mcr.microsoft.com/dotnet/sdk:10.0
BASE_IMAGE=debian:trixie-slim

standin_base() {
    local mirror
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2> /dev/null | head -n 1)
    [ -n "$mirror" ] || mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list | head -n 1)
    # As slim as the image that it stands for.
    mmdebstrap --quiet --variant=minbase --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Dir::Cache::pkgcache ""' --aptopt='Dir::Cache::srcpkgcache ""' trixie "$LAB/base.tar" "$mirror" \
        && docker import -c 'CMD ["bash"]' "$LAB/base.tar" "$BASE_IMAGE" > /dev/null
}

standin_sdk() {
    local context=$LAB/standin sdk
    mkdir -p "$context/ca"
    cp /usr/local/share/ca-certificates/*.crt "$context/ca/" 2> /dev/null || true   # authorities of the machine's own, if any
    sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
    cat > "$context/sdk" << DOCKERFILE
FROM $BASE_IMAGE
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libgcc-s1 libicu76 libssl3t64 libstdc++6 tzdata && rm -rf /var/lib/apt/lists/*
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates
COPY dotnet/ /usr/share/dotnet/
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet
ENV DOTNET_NOLOGO=true DOTNET_CLI_TELEMETRY_OPTOUT=1 NUGET_XMLDOC_MODE=skip DOTNET_GENERATE_ASPNET_CERTIFICATE=false
DOCKERFILE
    tar -cf - -C "$context" sdk ca -C "$(dirname "$sdk")" --exclude="$(basename "$sdk")/metadata" --transform="s,^$(basename "$sdk"),dotnet," "$(basename "$sdk")" \
        | docker build -q --network host -t "$SDK_IMAGE" -f sdk - > /dev/null
}
