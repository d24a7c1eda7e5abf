from pathlib import Path

import generate


def test_the_generated_code_is_that_of_the_contract() -> None:
    committed = {file.name: file.read_text("utf-8") for file in Path(generate.TARGET).glob("runtime_pb2*")}
    assert committed == generate.generate(), "run: python tools/generate.py"
