"""Drives a server with the client of python-engineio, on each transport and through the upgrade.

`client.py COMMAND`: the server is started by the shell with PORT and PROFILE in its environment, and echoes and obeys as
the servers of the other suites do. `client.py http://127.0.0.1:PORT` takes one that runs.
"""

import asyncio
import os
import socket
import sys

import aiohttp
import engineio
from engineio.payload import Payload

from judge import BINARIES, TEXTS, expect, numbered, run, soon

# By default python-engineio takes no payload of more than 16 packets.
Payload.max_decode_packets = 10_000

MODES = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}


class Client:
    """One session: what came in is in `messages`, and `closed` is set at its end."""

    def __init__(self):
        self.eio = engineio.AsyncClient(handle_sigint=False)
        self.messages = []
        self.changed = asyncio.Condition()
        self.closed = asyncio.Event()
        self.eio.on("message", self.on_message)
        self.eio.on("disconnect", self.on_disconnect)

    async def on_message(self, message):
        async with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    async def on_disconnect(self, reason):
        self.closed.set()

    async def open(self, url, mode):
        await soon(self.eio.connect(url, transports=MODES[mode]), "the session")
        expect(self.eio.transport(), "polling" if mode == "polling" else "websocket")
        return self

    async def echo(self, messages):
        """Sends all at once, and takes exactly them."""
        for message in messages:
            await self.eio.send(message)
        await self.receive(messages)

    async def receive(self, messages):
        async with self.changed:
            enough = self.changed.wait_for(lambda: len(self.messages) >= len(messages))
            await soon(enough, f"{len(messages)} messages, of which {len(self.messages)} are there")
        expect(self.messages, messages)
        self.messages.clear()


async def messages(url, mode):
    client = await Client().open(url, mode)
    await client.echo(TEXTS)
    await client.echo(BINARIES)
    await client.echo([message for pair in zip(TEXTS, BINARIES) for message in pair])
    await client.echo(numbered("m", 200))
    await client.eio.send("!burst 200")
    await client.receive(numbered("burst-", 200))
    await client.eio.send("!bin 700000")
    await client.receive([bytes(i % 256 for i in range(700_000))])
    # Several heartbeats later the session is still there.
    await asyncio.sleep(1.2)
    await client.echo(["still here"])
    await client.eio.disconnect()


async def server_closes(url, mode):
    client = await Client().open(url, mode)
    sid = client.eio.sid
    await client.eio.send("!bye 200")
    await client.receive(numbered("bye-", 200))
    await soon(client.closed.wait(), "the end of the session")
    await gone(url, sid)


async def client_closes(url, mode):
    client = await Client().open(url, mode)
    sid = client.eio.sid
    await client.echo(["hello"])
    await soon(client.eio.disconnect(), "the end of the session")
    await gone(url, sid)


async def gone(url, sid):
    """A closed session answers like one that never was."""
    async with aiohttp.ClientSession() as http:
        for _ in range(300):
            async with http.put(f"{url}/engine.io/?EIO=4&transport=polling&sid={sid}") as answer:
                if answer.status == 400 and (await answer.json())["code"] == 1:
                    return
            await asyncio.sleep(0.01)
    raise AssertionError(f"session {sid} is still there after 3 s")


async def listening(port, process):
    for _ in range(1500):
        if process.returncode is not None:
            raise AssertionError(f"the server ended with {process.returncode} before it listened")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            return writer.close()
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
    raise AssertionError(f"nothing listens on port {port} after 15 s")


async def judge(url):
    scenarios = [(f"{scenario.__name__} ({mode})", scenario(url, mode))
                 for mode in MODES for scenario in (messages, server_closes, client_closes)]
    return await run(scenarios)


async def main(target):
    if target.startswith("http://"):
        return await judge(target)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "PROFILE": "default"}
    process = await asyncio.create_subprocess_shell(f"exec {target}", env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
        await listening(port, process)
        status = await judge(f"http://127.0.0.1:{port}")
        expect(process.returncode, None)
        return status
    finally:
        if process.returncode is None:
            process.terminate()
            await soon(process.wait(), "the end of the server on SIGTERM")


sys.exit(asyncio.run(main(sys.argv[1])))
