# The gate as a container: it serves MCP over HTTP on port 7300. See docs/install.md for what a container can hold and what not.
#
#   docker build -t portcullis .
#   docker run --init -p 127.0.0.1:7300:7300 -v "$PWD/config:/etc/portcullis:ro" -v portcullis-state:/var/lib/portcullis portcullis

FROM node:22.23.3-bookworm-slim AS base

FROM base AS build
WORKDIR /src
COPY package.json package-lock.json ./
# `npm install`, because the lock file names the compiler and the linter of one platform only; versions are the locked ones all the same.
RUN npm install --ignore-scripts --no-audit --no-fund
COPY . .
# Packs what was built, and installs the package with exactly what the lock file names for it.
RUN npm run build && node --import ./test/support/typescript.mjs packaging/install-into.ts /opt/portcullis

FROM base
# Servers with a `sandbox` need bwrap, and a container that may make user namespaces.
RUN apt-get update \
  && apt-get install -y --no-install-recommends bubblewrap \
  && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 portcullis \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/portcullis --shell /usr/sbin/nologin portcullis \
  && install -d -m 0700 -o portcullis -g portcullis /var/lib/portcullis \
  && install -d -m 0755 /etc/portcullis
COPY --from=build /opt/portcullis /opt/portcullis
RUN ln -s /opt/portcullis/bin/portcullis.js /usr/local/bin/portcullis
# Configuration is /etc/portcullis/portcullis.yaml, mounted to be read only. State is keys and ledgers: never in the image.
ENV NODE_ENV=production XDG_CONFIG_HOME=/etc XDG_STATE_HOME=/var/lib
USER 10001:10001
VOLUME /var/lib/portcullis
EXPOSE 7300
# That it lives, not that it is open. With `listen.tls` give another one: --health-cmd.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7300/livez').then((r) => process.exit(r.status === 204 ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/portcullis/bin/portcullis.js"]
CMD ["serve", "--http", "0.0.0.0:7300"]
