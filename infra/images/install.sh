#!/bin/sh
# Inside a build: install extras of pyproject.toml, pinned by requirements.lock, into /opt/venv.
#     sh install.sh EXTRA...
set -eu

if [ -f /run/secrets/ca ]; then # a proxy that reads TLS is trusted here, and not in the image
    export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca
fi
for extra in "$@"; do
    set -- "$@" --extra "$extra"
    shift
done

python3 -m venv /opt/uv
/opt/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.8

# What pip is told by its variables, uv is told by its own. Torch for CPU has an index of its own,
# unless find-links hold it; torch for CUDA is the one on PyPI, with the libraries in the lock.
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="$PIP_INDEX_URL"
[ -z "${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX="$PIP_EXTRA_INDEX_URL"
if [ "${TORCH:-cpu}" = cpu ]; then
    if [ -n "${PIP_FIND_LINKS:-}" ]; then
        export UV_FIND_LINKS="$PIP_FIND_LINKS"
    else
        export UV_TORCH_BACKEND=cpu
    fi
fi

export UV_LINK_MODE=copy UV_NO_PROGRESS=1
python3 -m venv --without-pip /opt/venv
/opt/uv/bin/uv pip install --python /opt/venv/bin/python --compile-bytecode \
    -r pyproject.toml "$@" --constraints requirements.lock
/opt/uv/bin/uv tool run --constraints requirements.lock --from cyclonedx-bom cyclonedx-py \
    environment --output-reproducible --of JSON -o /opt/venv/sbom.cdx.json /opt/venv
