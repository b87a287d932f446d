"""What all tests share."""

import signal


def pytest_configure() -> None:
    """Give what tests start the usual signals, also where the suite runs under nohup or behind `&`.

    An ignored signal is inherited through exec, a caught one is not; the suite itself stays as deaf
    as it was made.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
