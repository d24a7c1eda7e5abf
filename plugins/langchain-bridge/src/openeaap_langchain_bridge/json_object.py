from __future__ import annotations

import json
from typing import Any


def first_json_object(text: str) -> dict[str, Any] | None:
    """Models wrap it in a code fence or talk after it; None: the text begins no object that can be read."""
    stripped = text.strip().removeprefix("```json").removeprefix("```").strip()
    if not stripped.startswith("{"):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(stripped)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
