# The orchestrator: the Temporal worker and the gpu-pool command. Build it in the repository's root; docs/deployment/docker.md
# says how, and how to pin the base image by its digest.
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package needs its install script here.
RUN npm ci --ignore-scripts

FROM modules AS build
COPY tsconfig.json tsconfig.build.json ./
COPY bin ./bin
COPY deployment/docker/health-check.mjs ./deployment/docker/
COPY scripts/build.ts ./scripts/
COPY sql ./sql
COPY src ./src
COPY supabase/functions/_shared ./supabase/functions/_shared
# A clone may be readable by its owner alone, and the program does not run as that user.
RUN npm run build && chmod -R a+rX bin deployment dist package.json

FROM modules AS production
# What only the build, the tests, gpu-pool dev and the GPU worker's log files need goes, and so do the programs of other platforms.
RUN npm pkg delete dependencies.pino-roll \
  && npm prune --omit=dev --omit=optional --ignore-scripts \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
    ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gpu-pool-orchestrator" \
  org.opencontainers.image.description="Keeps a pool of rented GPU workers exactly as large as a task queue needs" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* \
  && ln -s /app/bin/gpu-pool.js /usr/local/bin/gpu-pool
# Where gpu-pool gateway keeps its files; a volume takes over owner and rights.
RUN install --directory --owner 1000 --group 1000 --mode 700 /var/lib/gpu-pool
ENV NODE_ENV=production
WORKDIR /app
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/package.json ./
COPY --from=build /app/bin/gpu-pool.js ./bin/
COPY --from=build /app/deployment/docker/health-check.mjs ./deployment/docker/
COPY --from=build /app/dist ./dist
USER 1000:1000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "deployment/docker/health-check.mjs"]
ENTRYPOINT ["tini", "--", "gpu-pool"]
CMD ["run"]
