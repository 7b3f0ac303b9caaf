# The model server, `python -m components.serve`: onnxruntime, and neither torch nor MLflow.
# Kept to what Docker 20.10 knows by itself; a builder that is older is given it without mounts.
ARG BASE_IMAGE=python:3.11-slim
# Where packages are installed: of what else is in it, nothing reaches the image.
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS tools
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
# The classic builder would not hand ARG on to the stages below.
ENV PIP_INDEX_URL=$PIP_INDEX_URL PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL \
    PIP_FIND_LINKS=$PIP_FIND_LINKS
WORKDIR /build
COPY infra/images/packages.sh ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=ca \
    sh packages.sh tools

FROM tools AS chosen
COPY pyproject.toml requirements.lock ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=ca \
    sh packages.sh choose serve

FROM tools AS packages
COPY --from=chosen /build/requirements.txt /build/sbom.txt ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=ca \
    sh packages.sh install

FROM ${BASE_IMAGE} AS code
WORKDIR /app
COPY components/__init__.py components/contract.py components/serve.py components/
COPY components/serving components/serving
COPY training/__init__.py training/errors.py training/files.py training/runtime.py training/
RUN python3 -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE_IMAGE}
COPY --from=packages /opt/venv /opt/venv
# HOME and USER serve whoever the container runs as; the rest of the file system may be read-only.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp USER=trefoil
WORKDIR /app
USER 10001:10001
EXPOSE 8080
# SageMaker's argument `serve` replaces CMD; loopback inside a container would reach nobody.
ENTRYPOINT ["python", "-m", "components.serve"]
CMD ["--host", "0.0.0.0"]
COPY --from=code /app /app
