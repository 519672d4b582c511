"""A worker that answers each connection with its number and pid, for the supervisor's own mechanics.

``python -m tests.acceptance.workers.tiny_worker FOLDER --seat SEAT``: what it does wrong stands in files of FOLDER.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from app.bootstrap.seats import Post, Seat


async def serve(folder: Path, seat: Seat) -> int:
    if (folder / "dies").exists():
        return 9
    if (folder / "wrong-settings").exists():
        return 2
    stop = asyncio.Event()
    post = await Post.open(seat, stop.set)
    loop = asyncio.get_running_loop()
    leave = (lambda: None) if (folder / "stubborn").exists() else stop.set
    loop.add_signal_handler(signal.SIGTERM, leave)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        leads = await post.hold("deliveries")
        writer.write(f"{seat.number} {os.getpid()} {leads} {seat.careful}".encode())
        writer.close()

    servers = [await asyncio.start_server(answer, sock=one) for one in post.sockets()]
    if not (folder / "never-ready").exists():
        post.say_ready()
    await stop.wait()
    for server in servers:
        server.close()
    await post.resign("deliveries")
    await post.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(Path(sys.argv[1]), Seat.parse(sys.argv[3]))))
