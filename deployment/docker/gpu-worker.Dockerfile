# The GPU worker: the image of pods with WORKER_PROFILE=gpu-worker. Build it in the repository's root; docs/deployment/docker.md
# says how, and how to pin the base images by their digests.
ARG NODE_IMAGE=node:24-slim
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-runtime-ubuntu24.04

# As in orchestrator.Dockerfile, so that one machine builds these stages once for both images.
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
# A pod is ready sooner with a small image, so only what src/gpu-worker/, src/net/ and src/task-types/ import stays.
RUN node -e "const fs = require('fs'), manifest = require('./package.json'), names = process.argv.slice(1); \
    manifest.dependencies = Object.fromEntries(names.map((name) => [name, manifest.dependencies[name]])); \
    fs.writeFileSync('package.json', JSON.stringify(manifest))" @supabase/supabase-js execa ipaddr.js pino pino-roll undici uuid zod \
  && npm prune --omit=dev --omit=optional --ignore-scripts

FROM ${NODE_IMAGE} AS node

FROM ${CUDA_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gpu-pool-worker" \
  org.opencontainers.image.description="Claims tasks of a gpu-pool queue and renders them on one GPU" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates ffmpeg tini \
  && rm -rf /var/lib/apt/lists/*

# ---- An engine goes here ----
# Install its packages and copy its code, best in this place: it changes seldom and is large, so that a new version of the
# worker shares this layer with the last one. Weights belong on a network volume (RUNPOD_VOLUME_MOUNT_PATH).
# docs/gpu-worker.md#engines names the interface that the worker's side of it implements.

ENV NODE_ENV=production \
  NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
WORKDIR /app
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/package.json ./
COPY --from=build /app/dist/src/gpu-worker ./dist/src/gpu-worker
COPY --from=build /app/dist/src/net ./dist/src/net
COPY --from=build /app/dist/src/task-types ./dist/src/task-types
COPY --from=build /app/dist/supabase ./dist/supabase
# It runs as root, which a pod's network volume belongs to.
ENTRYPOINT ["tini", "--"]
CMD ["node", "dist/src/gpu-worker/main.js"]
