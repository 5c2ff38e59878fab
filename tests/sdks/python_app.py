"""An app with our own SDK, for tests that end it in their ways: `python_app.py HOW URL KEY FOLDER COUNT`. Prints the ids that it was
given."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

import almanac


def main(how: str, url: str, key: str, folder: str, count: int) -> None:
    """HOW: atexit, kill, fork, spawned, steady."""
    client = almanac.Client(
        key, url, spool=folder if folder != "-" else None, flush_seconds=0.1, batch_events=20, timeout=3, close_seconds=20
    )

    def take(name: str, many: int, pause: float = 0.0) -> None:
        for number in range(many):
            say(client.track(name, {"n": number}, user_id=f"u{number % 5}"))
            time.sleep(pause)

    if how == "atexit":
        take("beat", count)
    elif how == "kill":
        take("beat", count)
        time.sleep(0.3)
        say("ready")
        time.sleep(60)
    elif how == "fork":
        take("parent before", count)
        children = []
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                take(f"child {number}", count)
                sys.exit(0)
            children.append(pid)
        take("parent after", count)
        for pid in children:
            os.waitpid(pid, 0)
    elif how == "spawned":
        for method in ("fork", "spawn"):
            process = multiprocessing.get_context(method).Process(target=spawned, args=(url, key, f"{method}ed", count))
            process.start()
            process.join()
    elif how == "steady":
        take("beat", count, 0.01)
        sent = client.flush(60)
        books = client.close()
        say(f"end {sent} {books.taken} {books.delivered} {books.waiting} {books.dropped}")


def say(text: str) -> None:
    """In one piece: several processes speak at once."""
    os.write(1, text.encode() + b"\n")


def spawned(url: str, key: str, name: str, count: int) -> None:
    """What a child of multiprocessing does, which ends without atexit."""
    client = almanac.Client(key, url, flush_seconds=30, close_seconds=20)
    for _ in range(count):
        say(client.track(name))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
