"""Drives a client program with the server of python-socketio, on each transport and through the upgrade.

`sio_server.py COMMAND`: the client is started as `COMMAND URL SCENARIO`, prints JSON lines and obeys as
`tests/js/sio/client.mjs` wants it.
"""

import asyncio
import base64
import sys

import socketio
from aiohttp import web

from judge import expect, run, soon
from server import MODES, Program, with_whole_body

BYTES = bytes([0, 1, 2, 30, 255])


class Server:
    """A server on a port of its own, for one client. Events of the client are acknowledged with their arguments."""

    async def __aenter__(self):
        self.sio = socketio.AsyncServer(async_mode="aiohttp", ping_interval=10, ping_timeout=10, async_handlers=False)
        eio = self.sio.eio
        eio._async = {**eio._async, "translate_request": with_whole_body(eio._async["translate_request"])}
        self.connected, self.events, self.reasons = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.sio.on("connect", self.on_connect)
        self.sio.on("disconnect", self.on_disconnect)
        self.sio.on("*", self.on_event)
        app = web.Application()
        self.sio.attach(app)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        await soon(self.runner.cleanup(), "the end of the server")

    async def on_connect(self, sid, environ, auth=None):
        self.connected.put_nowait(sid)

    async def on_disconnect(self, sid, reason):
        self.reasons.put_nowait(reason)

    async def on_event(self, event, sid, *args):
        self.events.put_nowait((event, *args))
        return args

    async def tell(self, sid, *command):
        await self.sio.emit("cmd", command, to=sid)

    async def ask(self, sid, event, *args):
        """Asks the client for an acknowledgement. Gives its arguments."""
        answer = asyncio.get_running_loop().create_future()
        await self.sio.emit(event, args, to=sid, callback=lambda *args: answer.set_result(args))
        return await soon(answer, "an acknowledgement")

    async def received(self, *events):
        for event in events:
            expect(await soon(self.events.get(), "an event of the client"), event)

    async def dismiss(self, sid, program):
        await self.tell(sid, "exit")
        await ends(program)
        expect(await soon(self.reasons.get(), "the disconnection"), self.sio.reason.CLIENT_DISCONNECT)


async def ends(program):
    await soon(program.reader, f"the end of the client, which has printed {program.lines[-3:]}")
    expect(await soon(program.process.wait(), "the end of the client"), 0)
    expect(program.lines[-1], {"event": "done"})


def event_line(name, *args):
    return {"event": "event", "nsp": "/", "name": name, "args": list(args)}


def printed_bytes(data):
    return {"$bin": base64.b64encode(data).decode()}


async def scenario(command, mode, body):
    async with Server() as server:
        program = await Program().start(command, server.url, f"sio-{mode}-{body.__name__}")
        try:
            sid = await soon(server.connected.get(), "a connection")
            line = await program.line("connect")
            expect((line["nsp"], line["id"], line["recovered"]), ("/", sid, False))
            await body(server, sid, program)
        finally:
            program.kill()


async def basic(server, sid, program):
    values = ["a", "é€漢😀", 0, -1.5, True, None, [], {"a": {"b": [1]}}]
    for value in values:
        await server.sio.emit("one", value if value is not None else (None,), to=sid)
    await server.sio.emit("all", tuple(values), to=sid)
    await program.line("event", len(values) + 1)
    expect(program.of("event"), [*(event_line("one", value) for value in values), event_line("all", *values)])
    for value in values:
        await server.tell(sid, "emit", "one", [value])
    await server.tell(sid, "emit", "all", values)
    await server.received(*(("one", value) for value in values), ("all", *values))
    await server.dismiss(sid, program)


async def ack(server, sid, program):
    expect(await server.ask(sid, "asked", 1, {"a": "b"}), ("ack", 1, {"a": "b"}))
    await server.tell(sid, "emit-ack", "asks", [2, "é"])
    expect(await program.line("ack"), {"event": "ack", "nsp": "/", "name": "asks", "args": [2, "é"]})
    await server.dismiss(sid, program)


async def binary(server, sid, program):
    nested = {"a": [BYTES, "text", b""]}
    await server.sio.emit("nested", (nested, BYTES), to=sid)
    shown = [{"a": [printed_bytes(BYTES), "text", printed_bytes(b"")]}, printed_bytes(BYTES)]
    expect(await program.line("event"), event_line("nested", *shown))
    await server.tell(sid, "emit", "nested", shown)
    await server.received(("nested", nested, BYTES))
    expect(await server.ask(sid, "asked", BYTES), ("ack", BYTES))
    await server.tell(sid, "emit-ack", "asks", [printed_bytes(BYTES)])
    expect((await program.line("ack"))["args"], [printed_bytes(BYTES)])
    await server.dismiss(sid, program)


async def disconnect(server, sid, program):
    await server.sio.disconnect(sid)
    await ends(program)
    expect(program.lines[-2], {"event": "disconnect", "nsp": "/", "reason": "io server disconnect"})


async def reconnect(server, sid, program):
    await server.tell(sid, "emit-offline", "kept", [1])
    await server.tell(sid, "emit-offline", "kept", [2])
    await server.ask(sid, "told")
    # On polling it waits for a poll to take its close packet, and refuses the poll that comes next: if none is waiting
    # it never ends.
    closing = asyncio.create_task(server.sio.eio.disconnect(server.sio.manager.eio_sid_from_sid(sid, "/")))
    again = await soon(server.connected.get(), "another connection")
    expect((await program.line("connect", 2))["id"], again)
    await server.received(("kept", 1), ("kept", 2))
    await soon(server.reasons.get(), "the loss")
    await server.dismiss(again, program)
    closing.cancel()


BODIES = (basic, ack, binary, disconnect, reconnect)


async def main(command):
    pairs = [(mode, body) for mode in MODES for body in BODIES]
    return await run([(f"{body.__name__} ({mode})", scenario(command, mode, body)) for mode, body in pairs])


sys.exit(asyncio.run(main(sys.argv[1])))
