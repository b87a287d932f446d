"""What all tests share."""

import signal


def pytest_configure() -> None:
    """Give the engines that tests start the usual SIGHUP, also where the suite runs under nohup.

    An ignored signal is inherited through exec, a caught one is not; the suite itself stays as deaf
    as nohup made it.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
