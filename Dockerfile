# Serves riskd as `make run` does: the same command, the same settings, state in the volume /data.
#   docker build -t riskd . && docker run --read-only -v riskd:/data -p 8000:8000 riskd

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/riskd
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md LICENSE ./
COPY riskd riskd
RUN /opt/riskd/bin/pip install .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin riskd \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/riskd /opt/riskd
COPY models /srv/riskd/models
WORKDIR /srv/riskd
# Nothing is written but under /data, so the root file system can be read-only. A policy mounted at
# /srv/riskd/riskd.yaml is used instead of the shipped one.
ENV PATH=/opt/riskd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RISKD_HOST=0.0.0.0 \
    RISKD_PORT=8000 \
    RISKD_DATA_DIR=/data \
    RISKD_MODELS_DIR=/srv/riskd/models
VOLUME /data
EXPOSE 8000
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["riskd", "health"]
CMD ["riskd", "serve"]
