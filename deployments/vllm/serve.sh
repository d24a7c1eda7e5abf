#!/bin/sh
# Starts vLLM as the gateway expects it: prefix cache, continuous batching, priorities, a bounded
# queue, no prompts in the log. docs/vllm.md says why. Further arguments go to `vllm serve` as they are.
#
#   MODEL                   folder or name of the model (required)
#   SERVED_MODEL_NAME       what clients and configs/msig.yaml call it; default: MODEL
#   HOST, PORT              default 0.0.0.0 and 8000: keep the port inside, docs/vllm.md says why
#   TENSOR_PARALLEL         GPUs that share one copy of the model; default 1
#   GPU_MEMORY_UTILIZATION  share of each GPU's memory, 0 to 1; default 0.9
#   MAX_NUM_SEQS            requests in one batch; default 256
#   MAX_QUEUED_REQS         requests running and waiting, then 503; default twice MAX_NUM_SEQS
#   MAX_MODEL_LEN           tokens of prompt and answer; default: the model's own
#   LORA_MODULES            adapters as name=folder, with spaces between them; default none
#   MAX_LORAS, MAX_LORA_RANK  adapters in one batch, default 1; their highest rank, default 16
#   TOOL_CALL_PARSER, REASONING_PARSER  the model's own; without the first it calls no tools
#   MEDIA_DOMAINS           hosts that images may be fetched from, with spaces; default none
#   SHUTDOWN_SECONDS        for the requests in hand after SIGTERM; default 60
#   API_KEY_FILE            file with the key; or set VLLM_API_KEY
#   VLLM                    the program; default: vllm
set -eu

fail() {
  echo "serve.sh: $1" >&2
  exit 2
}

[ -n "${MODEL:-}" ] || fail 'MODEL is not set; set it to a folder or to the name of a model.'
MAX_NUM_SEQS="${MAX_NUM_SEQS:-256}"
case "$MAX_NUM_SEQS" in
  '' | *[!0-9]* | 0*) fail 'MAX_NUM_SEQS must be a whole number from 1 on.' ;;
esac

# By the environment, for arguments are seen in the list of processes.
if [ -n "${API_KEY_FILE:-}" ]; then
  [ -r "$API_KEY_FILE" ] || fail "API_KEY_FILE names $API_KEY_FILE, which cannot be read."
  VLLM_API_KEY="$(tr -d '\r\n' <"$API_KEY_FILE")"
  [ -n "$VLLM_API_KEY" ] || fail "API_KEY_FILE names $API_KEY_FILE, which is empty."
  export VLLM_API_KEY
fi
[ -n "${VLLM_API_KEY:-}" ] || echo 'serve.sh: there is no API_KEY_FILE and no VLLM_API_KEY: whoever reaches the port may use the model.' >&2

# Sends nothing home, and fetches images through no redirect to elsewhere.
export VLLM_NO_USAGE_STATS="${VLLM_NO_USAGE_STATS:-1}" VLLM_MEDIA_URL_ALLOW_REDIRECTS=0

set -- \
  --served-model-name "${SERVED_MODEL_NAME:-$MODEL}" \
  --host "${HOST:-0.0.0.0}" \
  --port "${PORT:-8000}" \
  --tensor-parallel-size "${TENSOR_PARALLEL:-1}" \
  --gpu-memory-utilization "${GPU_MEMORY_UTILIZATION:-0.9}" \
  --max-num-seqs "$MAX_NUM_SEQS" \
  --max-num-queued-reqs "${MAX_QUEUED_REQS:-$((MAX_NUM_SEQS * 2))}" \
  --scheduling-policy priority \
  --enable-prefix-caching \
  --prefix-caching-hash-algo sha256 \
  --enable-prompt-tokens-details \
  --no-enable-log-requests \
  --disable-fastapi-docs \
  --disable-access-log-for-endpoints /health,/metrics \
  --shutdown-timeout "${SHUTDOWN_SECONDS:-60}" \
  "$@"

if [ -n "${MAX_MODEL_LEN:-}" ]; then set -- --max-model-len "$MAX_MODEL_LEN" "$@"; fi
if [ -n "${REASONING_PARSER:-}" ]; then set -- --reasoning-parser "$REASONING_PARSER" "$@"; fi
if [ -n "${TOOL_CALL_PARSER:-}" ]; then set -- --enable-auto-tool-choice --tool-call-parser "$TOOL_CALL_PARSER" "$@"; fi
# These take lists: words are split on purpose, and none of them may be taken for a pattern.
set -f
# No list means every host to vLLM, so there is always one. This name is never anybody's.
# shellcheck disable=SC2086
set -- --allowed-media-domains ${MEDIA_DOMAINS:-none.invalid} "$@"
if [ -n "${LORA_MODULES:-}" ]; then
  # shellcheck disable=SC2086
  set -- --enable-lora --max-loras "${MAX_LORAS:-1}" --max-lora-rank "${MAX_LORA_RANK:-16}" --lora-modules $LORA_MODULES "$@"
fi

exec "${VLLM:-vllm}" serve "$MODEL" "$@"
