# The platform: API, orchestrator, gateway. From the root of the repository:
#   docker build -f deployments/docker/control-plane.Dockerfile -t openeaap/orchestrator:v2.0 .
# Not built by our CI, which has no container engine.
FROM node:20.19.5-bookworm-slim AS build
WORKDIR /app
COPY . .
RUN npm ci --no-audit --no-fund && npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:20.19.5-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app /app
# The state folder (keys, signed heads) is the only place that is written to.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin openeaap \
  && install --directory --owner=openeaap --group=openeaap --mode=0700 /var/lib/openeaap
USER 10001:10001
VOLUME /var/lib/openeaap
EXPOSE 7080 7081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# PID 1 is the program itself, so that SIGTERM reaches it and runs come to a rest.
ENTRYPOINT ["node", "--max-semi-space-size=64", "cmd/openeaap-server/dist/main.js", "--host", "0.0.0.0", "--port", "7080", "--data-dir", "/var/lib/openeaap"]
