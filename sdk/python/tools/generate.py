"""Writes src/openeaap/_proto from the released contract: python tools/generate.py

The descriptor keeps the name openeaap/runtime/v1/runtime.proto, so that other code generated from
the same file may live in the same process; only the Python modules are put elsewhere.
"""

from __future__ import annotations

import importlib.resources
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PACKAGE = Path(__file__).resolve().parent.parent
PROTO_ROOT = PACKAGE.parent.parent / "api" / "proto"
PROTO = "openeaap/runtime/v1/runtime.proto"
TARGET = PACKAGE / "src" / "openeaap" / "_proto"


def generate() -> dict[str, str]:
    """The generated modules, by file name."""
    well_known = str(importlib.resources.files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{PROTO_ROOT}", f"-I{well_known}"]
        arguments += [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        if protoc.main([*arguments, PROTO]) != 0:
            raise SystemExit(f"protoc refused {PROTO_ROOT / PROTO}; its message is above.")
        made = (Path(folder) / PROTO).parent
        return {file.name: to_our_package(file.read_text("utf-8")) for file in sorted(made.iterdir())}


def to_our_package(text: str) -> str:
    return text.replace("from openeaap.runtime.v1 import", "from openeaap._proto import")


def main() -> int:
    for name, text in generate().items():
        (TARGET / name).write_text(text, "utf-8")
        print(f"wrote {TARGET / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
