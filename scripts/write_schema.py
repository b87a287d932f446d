"""Write the generated documents: `docs/openrpc.json`, `rpc.md` and `ouroboros.schema.json`.

`--check` writes nothing and exits with 1 where a stored document is not what the code says.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rpc_page import page

from ouroboros.config import schema
from rpc.discover import document

DOCS = Path(__file__).resolve().parent.parent / "docs"


def documents() -> dict[str, str]:
    """Return the documents by file name."""
    return {
        "openrpc.json": _json(document()),
        "ouroboros.schema.json": _json(schema()),
        "rpc.md": page(document()),
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write, or compare with what is stored; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: write_schema.py [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, text in documents().items():
        path = DOCS / name
        if path.is_file() and path.read_text() == text:
            continue
        if arguments:
            print(f"docs/{name} is stale: run scripts/write_schema.py", file=sys.stderr)
            stale = 1
        else:
            path.write_text(text)
            print(f"wrote docs/{name}")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
