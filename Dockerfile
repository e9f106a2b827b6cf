# The gateway as an image: docker build -t gateway . ; docs/how-to/docker.md.

FROM python:3.13-slim-bookworm AS made
WORKDIR /opt/gateway
COPY requirements.txt ./
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir -r requirements.txt

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent gateway \
    && install -d -o gateway -g gateway -m 700 /var/lib/gateway
WORKDIR /opt/gateway
COPY --from=made /opt/gateway/.venv .venv
COPY run.py ./
COPY gateway gateway
COPY conf conf
# A folder of your own takes its place.
COPY conf/gateway.toml conf/models.toml conf/modes.toml conf/apps.json /etc/gateway/

ENV PATH=/opt/gateway/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWAY_CONF=/etc/gateway \
    DATA_DIR=/var/lib/gateway \
    HOST=0.0.0.0 \
    SERVER_PORT=5000
USER 10001
VOLUME /var/lib/gateway
EXPOSE 5000
# It drains for drain_timeout: `docker stop --time 60`, or stop_grace_period.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['SERVER_PORT'] + '/health/ready', timeout=2)"]
# It starts no processes and takes its own signals: no init is needed before it.
ENTRYPOINT ["python", "run.py"]
CMD ["serve"]
