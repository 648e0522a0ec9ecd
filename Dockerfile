# Two stages: Debian 12 builds; the image itself is the binaries and their libraries, without a shell.
#   docker build -t pintle .
FROM debian:bookworm AS build
WORKDIR /src
COPY scripts/setup scripts/setup
COPY scripts/lib scripts/lib
RUN scripts/setup --build-only
COPY . .
RUN cmake --preset release -DPINTLE_TESTS=OFF && cmake --build --preset release --target pintled pintlectl
RUN scripts/image-root build/release /image

FROM scratch
COPY --from=build /image /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/usr/local/bin/pintled"]
CMD ["--config", "/etc/pintle/pintled.yaml"]
