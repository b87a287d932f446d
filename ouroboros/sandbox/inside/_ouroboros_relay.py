"""Inside a run: listens on its loopback for the few services that the engine lets through.

Started as `python -I -S _ouroboros_relay.py FOLDER HOST:PORT... -- ARGV`, before the command. Once
it listens, it becomes the command; a detached child passes each connection on through the unix
socket in FOLDER that has the number of its service. Whoever speaks there speaks with that service
only: the engine makes the connections, and it knows no other.

Standard library only, CPython 3.8 and later.
"""

import contextlib
import os
import socket
import sys
import threading

_CHUNK = 65536


def main() -> None:
    """Listen, leave a child behind, and become the command."""
    end = sys.argv.index("--")
    folder, services, argv = sys.argv[1], sys.argv[2:end], sys.argv[end + 1 :]
    listeners = []
    for service in services:
        host, _, port = service.rpartition(":")
        listeners.append(socket.create_server((host, int(port)), backlog=64))
    if os.fork() == 0:
        if os.fork() == 0:  # twice: the command must not find a child that it has not started
            serve(folder, listeners)
        os._exit(0)
    os.wait()
    for listener in listeners:
        listener.close()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the command, as it was given
    except OSError as problem:
        sys.stderr.write(f"{argv[0]}: {problem.strerror}\n")
        sys.exit(127 if isinstance(problem, FileNotFoundError) else 126)


def serve(folder: str, listeners: "list[socket.socket]") -> None:
    """Pass connections on until the run ends; holds none of its descriptors."""
    os.setsid()
    kept = {listener.fileno() for listener in listeners}
    for fd in range(max(kept) + 64):
        if fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)
    for number, listener in enumerate(listeners):
        address = f"{folder}/{number}"
        threading.Thread(target=accept, args=(listener, address)).start()
    threading.Event().wait()


def accept(listener: socket.socket, address: str) -> None:
    """Pair each connection with one to the engine."""
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(address)
        except OSError:
            near.close()
            continue
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass bytes on in one direction, and the end of them."""
    try:
        while True:
            data = source.recv(_CHUNK)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
