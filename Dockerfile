# One image for every service of compose.yaml. Build: docker compose build
# `make pin-images` writes the image's digest (@sha256:…) behind the tag. Where there is none, no registry of images
# could be reached when that was last tried.
ARG PYTHON_PINNED=3.11-slim-bookworm
# Another Python than the one that the tests run on, from 3.11 on, by its tag: --build-arg PYTHON_VERSION=3.12
ARG PYTHON_VERSION
ARG PYTHON_OTHER=${PYTHON_VERSION:+${PYTHON_VERSION}-slim-bookworm}

FROM python:${PYTHON_OTHER:-${PYTHON_PINNED}} AS python

FROM python AS build
WORKDIR /src
ENV UV_CACHE_DIR=/cache/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
COPY requirements-uv.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements-uv.lock
COPY requirements-run.lock ./
RUN --mount=type=cache,target=/cache/uv uv venv --quiet /opt/wardlake \
    && uv pip sync --require-hashes --python /opt/wardlake/bin/python requirements-run.lock
# Never imported: the tests of others, and 50 MB of Arrow for RPC and S3.
RUN find /opt/wardlake -depth -type d -name tests \( -path '*/pandas/*' -o -path '*/numpy/*' -o -path '*/pyarrow/*' \) -exec rm -r {} + \
    && find /opt/wardlake -path '*/pyarrow/*' \( -name '*_flight.*' -o -name '*_s3.so*' -o -name '_s3fs.*' \) -delete
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY dashboards dashboards
COPY flows flows
COPY lake lake
COPY producer producer
RUN uv build --quiet --wheel --no-build-isolation --python /usr/local/bin/python --out-dir /tmp/dist && uv pip install --quiet --no-deps --python /opt/wardlake/bin/python /tmp/dist/*.whl

FROM python
# A user without a name anywhere else; the folders are what named volumes take their owner from.
RUN groupadd --gid 10001 wardlake && useradd --uid 10001 --gid 10001 --no-create-home --no-log-init --home-dir /tmp wardlake \
    && install -d -o wardlake -g wardlake -m 0700 /data /feed /prefect /prefect/owner /prefect/reader /run/prefect /run/wardlake
COPY --from=build /opt/wardlake /opt/wardlake
ENV PATH=/opt/wardlake/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false \
    MALLOC_ARENA_MAX=2 WARDLAKE_DATA=/data
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["wardlake"]
CMD ["--help"]
