"""Drives a client program with the server of python-engineio, on each transport and through the upgrade.

`server.py COMMAND [WITHOUT ...]`: the client is started as `COMMAND URL SCENARIO`, prints JSON lines and obeys as
`tests/js/client.mjs` wants it. The server echoes what the client sends. The scenarios named behind the command are left
out.
"""

import asyncio
import base64
import hashlib
import json
import sys

import engineio
from aiohttp import web
from engineio.payload import Payload

from judge import BINARIES, TEXTS, expect, numbered, run, soon

# By default python-engineio takes no payload of more than 16 packets.
Payload.max_decode_packets = 10_000

MODES = ["polling", "websocket", "upgrade"]

# Of the contract (tests/js/client/harness.mjs): longer messages are printed as length and hash.
LONGEST_SHOWN = 1000


class Session:
    """One session of the server. What the client sends is kept, and sent back."""

    def __init__(self, eio, sid):
        self.eio = eio
        self.sid = sid
        self.echoes = True
        self.messages = []
        self.changed = asyncio.Condition()
        self.closed = asyncio.Event()

    async def send(self, *messages):
        for message in messages:
            await self.eio.send(self.sid, message)

    async def receive(self, messages):
        async with self.changed:
            await soon(self.changed.wait_for(lambda: len(self.messages) >= len(messages)), "the messages of the client")
        expect(self.messages, messages)
        self.messages.clear()


class Server:
    """A server on a port of its own, for one client."""

    def __init__(self, ping_interval):
        self.ping_interval = ping_interval

    async def __aenter__(self):
        self.eio = engineio.AsyncServer(
            async_mode="aiohttp", ping_interval=self.ping_interval, ping_timeout=10, async_handlers=False,
            # As people write it. The open packet then has a `maxPayload` with a fraction.
            max_http_buffer_size=1e8)
        self.eio._async = {**self.eio._async, "translate_request": with_whole_body(self.eio._async["translate_request"])}
        self.sessions = {}
        self.opened = asyncio.Queue()
        self.eio.on("connect", self.on_connect)
        self.eio.on("message", self.on_message)
        self.eio.on("disconnect", self.on_disconnect)
        app = web.Application()
        self.eio.attach(app)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        await soon(self.runner.cleanup(), "the end of the server")

    async def on_connect(self, sid, environ):
        self.sessions[sid] = Session(self.eio, sid)
        self.opened.put_nowait(self.sessions[sid])

    async def on_message(self, sid, message):
        session = self.sessions[sid]
        async with session.changed:
            session.messages.append(message)
            session.changed.notify_all()
        if session.echoes:
            await session.send(message)

    async def on_disconnect(self, sid, reason):
        self.sessions[sid].closed.set()


def with_whole_body(translate):
    """python-engineio takes of a body only what has come when it looks, and forgets the rest."""

    class Body:
        def __init__(self, data):
            self.data = data

        async def read(self, length):
            return self.data[:length]

    async def translated(request):
        return {**translate(request), "wsgi.input": Body(await request.read())}

    return translated


class Program:
    """The running client, and the lines that it prints."""

    def __init__(self):
        self.lines = []
        self.changed = asyncio.Condition()

    async def start(self, command, url, scenario):
        self.process = await asyncio.create_subprocess_exec(
            "sh", "-c", f'exec {command} "$@"', "sh", url, scenario, stdout=asyncio.subprocess.PIPE, limit=2**20)
        self.reader = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for line in self.process.stdout:
            async with self.changed:
                self.lines.append(json.loads(line))
                self.changed.notify_all()

    def of(self, event):
        return [line for line in self.lines if line["event"] == event]

    async def line(self, event, count=1):
        async with self.changed:
            enough = self.changed.wait_for(lambda: len(self.of(event)) >= count)
            await soon(enough, f"{count} lines '{event}' of the client, which has printed {self.lines[-3:]}")
        return self.of(event)[count - 1]

    async def printed(self, messages):
        await self.line("message", len(messages))
        expect(self.of("message"), [line_of(message) for message in messages])

    async def ends(self, reason):
        await soon(self.reader, f"the end of the client, which has printed {self.lines[-3:]}")
        expect(await soon(self.process.wait(), "the end of the client"), 0)
        expect(self.lines[-2:], [{"event": "close", "reason": reason}, {"event": "done"}])
        expect(self.of("error"), [])

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()


def line_of(message):
    data = message.encode() if isinstance(message, str) else message
    line = {"event": "message", "binary": isinstance(message, bytes)}
    if len(data) > LONGEST_SHOWN:
        return {**line, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {**line, "data": message if isinstance(message, str) else base64.b64encode(data).decode()}


async def scenario(command, mode, body):
    # A client that is late by seconds still lives.
    async with Server(0.2 if body is heartbeat else 10) as server:
        program = await Program().start(command, server.url, f"eio-{mode}-{body.__name__.replace('_', '-')}")
        try:
            session = await soon(server.opened.get(), "a session")
            opened = await program.line("open")
            expect(opened["sid"], session.sid)
            if mode == "upgrade":
                expect(await program.line("upgrade"), {"event": "upgrade", "transport": "websocket"})
            await body(session, program)
        finally:
            program.kill()


async def basic(session, program):
    messages = [message for pair in zip(TEXTS, BINARIES) for message in pair]
    await session.send(*messages)
    await session.send(*(f"!send {text}" for text in TEXTS), "!bin 300")
    sent = [*TEXTS, bytes(i % 256 for i in range(300))]
    await session.receive(sent)
    await program.printed([*messages, *sent])
    await session.send("!close")
    await program.ends("forced close")
    await soon(session.closed.wait(), "the end of the session")


async def burst(session, program):
    messages = numbered("s", 200)
    await session.send("!burst 200", *messages)
    sent = [text.encode() if i % 5 == 4 else text for i, text in enumerate(numbered("m", 200))]
    await session.receive(sent)
    await program.line("message", 400)
    lines = program.of("message")
    expect([line for line in lines if line.get("data", "").startswith("s")], [line_of(text) for text in messages])
    expect(len(lines), 400)
    await session.send("!close")
    await program.ends("forced close")


async def large(session, program):
    messages = ["é€😀" * 50_000, bytes(i % 256 for i in range(500_000))]
    await session.send(*messages)
    await program.printed(messages)
    await session.send("!text 500000")
    await session.receive(["x" * 500_000])
    await session.send("!close")
    await program.ends("forced close")


async def heartbeat(session, program):
    # Several intervals of 200 ms.
    await asyncio.sleep(1.2)
    await session.send("!send alive")
    await session.receive(["alive"])
    await session.send("!close")
    await program.ends("forced close")


async def burst_close(session, program):
    # What is sent to a client that closes its WebSocket makes python-engineio forget what it has not read yet.
    session.echoes = False
    await session.send("!burst-close 100")
    await program.ends("forced close")
    await soon(session.closed.wait(), "the end of the session")
    expect(session.messages, numbered("m", 100))


async def server_close(session, program):
    # python-engineio refuses each poll that comes after its close: only one that waits by then learns of it, and nothing
    # tells whether one does.
    await asyncio.sleep(0.5)
    await session.send(*numbered("bye", 100))
    await soon(session.eio.disconnect(session.sid), "the close of the server")
    await program.ends("transport close")
    expect(program.of("message"), [line_of(text) for text in numbered("bye", 100)])


BODIES = (basic, burst, large, heartbeat, burst_close, server_close)


async def main(command, *without):
    names = {f"{body.__name__} ({mode})": (mode, body) for mode in MODES for body in BODIES}
    return await run([(name, scenario(command, *names[name])) for name in names if name not in without])


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
