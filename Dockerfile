# Two images from one file. app: web, hooks, worker, dispatcher, migrations; without torch or a model. engine: the model server, for GPUs.
FROM python:3.13-slim AS app-packages
RUN python -m venv /venv
COPY requirements.lock .
RUN /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock

FROM python:3.12-slim AS engine-packages
RUN python -m venv /venv
COPY requirements-engine.lock .
RUN /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-engine.lock

FROM python:3.12-slim AS engine
# The engine compiles small kernels for the GPU that it finds.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc g++ libc6-dev && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10002 --no-create-home --shell /usr/sbin/nologin engine && install -d -o engine -g engine /models
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/models XDG_CACHE_HOME=/models/cache HF_HOME=/models/hub VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
COPY --from=engine-packages /venv /venv
WORKDIR /models
USER engine
VOLUME /models
EXPOSE 8000
CMD ["vllm", "serve", "--help"]

FROM python:3.13-slim AS app
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin chinwag
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=app-packages /venv /venv
COPY alembic.ini LICENSE ./
COPY migrations migrations
COPY wire wire
COPY inference inference
COPY bots bots
COPY workers workers
COPY chinwag chinwag
USER chinwag
EXPOSE 8080 8081
CMD ["python", "-m", "bots.web"]
