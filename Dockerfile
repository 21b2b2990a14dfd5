# syntax=docker/dockerfile:1
# An image with the server: `docker build --tag gnomon .`; how to run it: docs/guide/operate.md, "In a container".

FROM rust:1.95-slim-bookworm AS builder
# A C compiler comes with the image; nothing else is needed.
WORKDIR /source
COPY . .
# The image has no git: the revision that `--version` shows is told, --build-arg GNOMON_REVISION=$(git rev-parse HEAD)
ARG GNOMON_REVISION=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    GNOMON_REVISION=$GNOMON_REVISION CARGO_TARGET_DIR=/target CARGO_INCREMENTAL=0 cargo build --release --locked --package cli \
    && install -D /target/release/influxdb3 /out/usr/bin/influxdb3 \
    && strip --strip-debug /out/usr/bin/influxdb3

FROM debian:bookworm-slim
# Authorities, for object stores over TLS; envsubst, for variables in arguments.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates gettext-base \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1500 influxdb3 \
    && useradd --uid 1500 --gid influxdb3 --home-dir /home/influxdb3 --create-home --shell /usr/sbin/nologin influxdb3 \
    && install --directory --owner influxdb3 --group influxdb3 /home/influxdb3/.influxdb3 /var/lib/influxdb3 /plugins
COPY --from=builder /out/usr/bin/influxdb3 /usr/bin/influxdb3
COPY --chmod=0755 packaging/docker/entrypoint.sh packaging/docker/health.sh /usr/bin/
USER influxdb3
WORKDIR /home/influxdb3
ENV INFLUXDB3_LOG_FILTER=info \
    INFLUXDB3_PLUGIN_DIR=/plugins
EXPOSE 8181
VOLUME /var/lib/influxdb3
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/entrypoint.sh"]
CMD ["serve"]
# Any answer will do, a refusal for want of a token too: the server is there.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/bin/health.sh"]
LABEL org.opencontainers.image.title="Gnomon" \
      org.opencontainers.image.description="Time-series database, a drop-in for InfluxDB 3" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
