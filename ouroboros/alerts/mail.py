"""A sink that sends a mail."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

from ouroboros.alerts.payload import subject_of
from ouroboros.config_alerts import Sink, Tls
from ouroboros.errors import MachineError
from ouroboros.model.state import Alert
from ouroboros.model.text import safe_text


class EmailSink:
    """Sends one mail per alert."""

    def __init__(self, name: str, config: Sink) -> None:
        self.name = name
        self._config = config

    async def send(self, alert: Alert) -> None:
        """Send the mail.

        Raises:
            MachineError: the server did not take it.
        """
        try:
            await asyncio.to_thread(self._send, alert)
        except (smtplib.SMTPException, OSError) as error:
            raise MachineError(f"The mail server did not take it: {error}.") from None

    def _send(self, alert: Alert) -> None:
        config = self._config
        message = EmailMessage()
        message["Subject"] = subject_of(alert)
        message["From"] = config.sender
        message["To"] = ", ".join(config.to)
        message["Message-ID"] = make_msgid(f"ouroboros-{alert.seq}", domain="ouroboros.invalid")
        about = f"candidate {alert.candidate}\n" if alert.candidate else ""
        message.set_content(
            f"{safe_text(alert.text)}\n\n{about}severity {alert.severity}\ncode {alert.code}\n"
            f"entry {alert.seq} of the ledger\n"
        )
        timeout = config.timeout.seconds
        if config.tls is Tls.TLS:
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                config.host, config.port, timeout=timeout, context=context
            )
        else:
            server = smtplib.SMTP(config.host, config.port, timeout=timeout)
        with server:
            if config.tls is Tls.STARTTLS:
                server.starttls(context=ssl.create_default_context())
            if config.user:
                server.login(config.user, Path(config.password_file).read_text().strip())
            server.send_message(message)
