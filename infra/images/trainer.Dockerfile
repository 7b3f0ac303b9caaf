# The steps of a pipeline, `python -m components.NAME`: torch, MLflow and all that they import.
# Kept to what Docker 20.10 knows by itself; a builder that is older is given it without mounts.
ARG BASE_IMAGE=python:3.11-slim
# Where packages are installed: of what else is in it, nothing reaches the image.
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS tools
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG TORCH=cpu
# The classic builder would not hand ARG on to the stages below.
ENV PIP_INDEX_URL=$PIP_INDEX_URL PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL \
    PIP_FIND_LINKS=$PIP_FIND_LINKS TORCH=$TORCH
WORKDIR /build
COPY infra/images/packages.sh ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=ca \
    sh packages.sh tools

FROM tools AS chosen
COPY pyproject.toml requirements.lock ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=ca \
    sh packages.sh choose train tracking serve deploy

FROM tools AS packages
COPY --from=chosen /build/requirements.txt /build/sbom.txt ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=ca \
    sh packages.sh install

FROM ${BASE_IMAGE} AS code
WORKDIR /app
COPY components components
COPY training training
COPY infra infra
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE_IMAGE}
COPY --from=packages /opt/venv /opt/venv
# HOME and USER serve whoever the container runs as; the rest of the file system may be read-only.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp USER=trefoil
WORKDIR /app
USER 10001:10001
COPY --from=code /app /app
