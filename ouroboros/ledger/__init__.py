"""The append-only record: `chain` (pure), `store` (SQLite), `evidence` (files by content)."""
