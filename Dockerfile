# The application: web, worker, dispatcher, migrations. No torch and no model inside; those are servers of their own.
FROM python:3.13-slim AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock .
RUN /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin chinwag
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /venv /venv
COPY alembic.ini LICENSE ./
COPY migrations migrations
COPY inference inference
COPY bots bots
COPY wire wire
COPY workers workers
COPY chinwag chinwag
USER chinwag
EXPOSE 8080
CMD ["python", "-m", "bots.web"]
