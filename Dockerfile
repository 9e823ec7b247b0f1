# A server of the pretrained pipeline, on the CPU; see docs/serve.md.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Torch for the CPU, without the libraries of CUDA.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
    "torch>=2.6,<3" "torchvision>=0.21,<1"
COPY LICENSE README.md pyproject.toml setup.cfg ./
COPY spacy_mner spacy_mner
COPY pipelines/en_mner_social_sm-0.3.0-py3-none-any.whl pipelines/
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[serve,heif]" \
    pipelines/en_mner_social_sm-0.3.0-py3-none-any.whl

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
# Torch looks for a folder that it may write to, unless it is given one; on a read-only file system
# there is none.
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 TORCHINDUCTOR_CACHE_DIR=/tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["spacy-mner", "serve", "--host", "0.0.0.0"]
CMD ["en_mner_social_sm"]
