"""An alert as others get it: JSON with stable names, and a subject line."""

import msgspec

from ouroboros.model.state import Alert
from ouroboros.model.text import plain_json, safe_line


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    number: int
    time_ns: int
    code: str
    severity: str
    text: str
    candidate: str


def payload_of(alert: Alert) -> bytes:
    """Return the alert as JSON; `number` is its ledger entry, by which it is the same one."""
    return plain_json(
        msgspec.json.encode(
            _Payload(
                source="ouroboros",
                number=alert.seq,
                time_ns=alert.ts,
                code=alert.code,
                severity=alert.severity,
                text=alert.text,
                candidate=alert.candidate,
            )
        )
    )


def subject_of(alert: Alert) -> str:
    """Return one line for people."""
    about = f" {alert.candidate}" if alert.candidate else ""
    said = f"[ouroboros] {alert.severity.upper()} {alert.code}{about}: {alert.text}"
    return safe_line(said, limit=150)
