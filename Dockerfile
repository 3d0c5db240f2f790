# syntax=docker/dockerfile:1
# The service: `docker build -t cortex .`, then `docker run --read-only --tmpfs /tmp -p 127.0.0.1:8080:8080 -v ./keys:/etc/cortex/keys:ro cortex`.
# Make the keys first: `mkdir keys && cortex key keys/keys.txt NAME` (the folder is mounted, not the file: a file that is replaced would not be seen).
#
# Build arguments:
#   EXTRAS       serve,train: with the model in the image; serve: a gateway alone, small, for vLLM elsewhere (then also --build-arg MODEL=none)
#   ACCELERATOR  cpu, or cuda: what the NVIDIA container runtime has to hand in (run with --gpus all)
#   TORCH_INDEX  the index of PyTorch's builds for a CPU or one version of CUDA; without it torch comes from the usual index
#   MODEL        nano: put the embedded model into the image; none: leave it out
#   PYTHON       version of Python
ARG PYTHON=3.11
ARG ACCELERATOR=cpu

FROM python:${PYTHON}-slim-bookworm AS build
ARG EXTRAS=serve,train
ARG TORCH_INDEX=
ARG MODEL=nano
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/cortex/bin:$PATH CORTEX_CACHE=/var/cache/cortex
WORKDIR /src
RUN python -m venv /opt/cortex && mkdir -p /var/cache/cortex
# torch first and by its exact version, as in the Makefile: any other request may bring gigabytes of GPU libraries
COPY constraints.txt ./
# hadolint ignore=DL3013
RUN case ",$EXTRAS," in *,train,*) pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)" ;; esac
COPY setup.py settings.ini README.md LICENSE ./
COPY cortex cortex
RUN pip wheel --no-deps --wheel-dir dist . && pip install -c constraints.txt "$(echo dist/*.whl)[$EXTRAS]"
RUN case ",$EXTRAS,$MODEL," in *,train,*nano,) python -c "from cortex.models import fetch_model; fetch_model('nano')" ;; esac

FROM python:${PYTHON}-slim-bookworm AS runtime-cpu

FROM python:${PYTHON}-slim-bookworm AS runtime-cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# hadolint ignore=DL3006
FROM runtime-${ACCELERATOR}
LABEL org.opencontainers.image.title="cortex" org.opencontainers.image.description="Answers over market data whose every number is checked" org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/cortex /opt/cortex
COPY --from=build --chown=10001:10001 /var/cache/cortex /var/cache/cortex
# the root file system may be read-only: only /tmp and, if more models are to be fetched, /var/cache/cortex are written to
ENV PATH=/opt/cortex/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 CORTEX_CACHE=/var/cache/cortex HOME=/tmp LOGNAME=cortex MPLCONFIGDIR=/tmp HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --retries=3 CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
ENTRYPOINT ["cortex"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080", "--size", "nano", "--data", "simulated", "--keys", "/etc/cortex/keys/keys.txt"]
