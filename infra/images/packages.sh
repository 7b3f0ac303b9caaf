#!/bin/sh
# Inside a build. Three commands, a layer each, so that none is made anew without need:
#     sh packages.sh tools              install uv
#     sh packages.sh choose EXTRA...    write requirements.txt: what these extras of pyproject.toml
#                                       need, as requirements.lock pins it; sbom.txt for the SBOM
#     sh packages.sh install            install that into /opt/venv, and write its SBOM there
set -eu

if [ -f /run/secrets/ca ]; then # a proxy that reads TLS is trusted here, and not in the image
    export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca
fi

# What pip is told by its variables, uv is told by its own. Torch for CPU has an index of its own,
# unless find-links hold it; torch for CUDA is PyPI's, with the libraries that the lock names.
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="$PIP_INDEX_URL"
[ -z "${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX="$PIP_EXTRA_INDEX_URL"
if [ "${TORCH:-cpu}" = cpu ]; then
    [ -z "${PIP_FIND_LINKS:-}" ] || export UV_FIND_LINKS="$PIP_FIND_LINKS"
    [ -n "${PIP_FIND_LINKS:-}" ] || export UV_TORCH_BACKEND=cpu
fi
if mountpoint -q /root/.cache; then
    export UV_LINK_MODE=copy
else # without a cache mount, what was fetched would only lie in a layer
    export PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
fi
export UV_NO_PROGRESS=1
uv=/opt/uv/bin/uv

tools() {
    python3 -m venv /opt/uv
    /opt/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
}

choose() {
    pins_of "$@" >requirements.txt
    pins_of sbom >sbom.txt
}

install() {
    python3 -m venv --without-pip /opt/venv
    $uv pip install --python /opt/venv/bin/python --compile-bytecode --requirement requirements.txt
    $uv tool run --from cyclonedx-bom --constraints sbom.txt cyclonedx-py environment \
        --output-reproducible --of JSON --output-file /opt/venv/sbom.cdx.json /opt/venv
}

pins_of() { # the pins in the lock, with their hashes, of all that these extras need
    for extra in "$@"; do
        set -- "$@" --extra "$extra"
        shift
    done
    $uv pip compile --quiet --no-annotate --no-header pyproject.toml "$@" \
        --constraints requirements.lock --output-file names.txt >/dev/null
    awk -F '==' 'NR == FNR {named[$1]; next} /^[^ ]/ {on = $1 in named} on' \
        names.txt requirements.lock
}

"$@"
