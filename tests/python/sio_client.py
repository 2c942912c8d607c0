"""Drives a Socket.IO server with the client of python-socketio, on each transport and through the upgrade.

`sio_client.py COMMAND`: the server is started by the shell with PORT and PROFILE in its environment, and obeys events as
those of `tests/js/sio` do. `sio_client.py http://127.0.0.1:PORT` takes one that runs.
"""

import asyncio
import itertools
import os
import socket
import sys

import socketio
from engineio.payload import Payload

from judge import BINARIES, TEXTS, expect, run, soon

# By default python-engineio takes no payload of more than 16 packets.
Payload.max_decode_packets = 10_000

MODES = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}

NUMBERS = itertools.count(1)


class Client:
    """One connection: events that came are in `events`, with their namespace and name in front."""

    def __init__(self, *namespaces):
        self.sio = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self.namespaces = list(namespaces) or ["/"]
        self.events = []
        self.ends = []
        self.refusals = []
        self.changed = asyncio.Condition()
        for namespace in self.namespaces:
            self.sio.on("*", self.handler(namespace), namespace=namespace)
            self.sio.on("disconnect", self.ending(namespace), namespace=namespace)
            self.sio.on("connect_error", self.refusal(namespace), namespace=namespace)

    def handler(self, namespace):
        async def on_event(event, *args):
            if event == "auth":
                return None
            await self.note(self.events, (namespace, event, *args))
            # What the server is answered if it asks for an ack.
            return ("answer", *args) if event == "question" else None

        return on_event

    def ending(self, namespace):
        async def on_disconnect(reason):
            await self.note(self.ends, (namespace, reason))

        return on_disconnect

    def refusal(self, namespace):
        async def on_connect_error(data):
            await self.note(self.refusals, (namespace, data))

        return on_connect_error

    async def note(self, things, thing):
        async with self.changed:
            things.append(thing)
            self.changed.notify_all()

    async def several(self, things, count):
        async with self.changed:
            enough = self.changed.wait_for(lambda: len(things) >= count)
            await soon(enough, f"{count} events, of which {len(things)} are there")
        return list(things)

    async def open(self, url, mode, auth=None):
        connecting = self.sio.connect(
            url, transports=MODES[mode], namespaces=self.namespaces, auth=auth, headers={"x-test": "py"}, wait_timeout=10)
        await soon(connecting, "the connection")
        expect(self.sio.transport(), "polling" if mode == "polling" else "websocket")
        return self

    async def ask(self, event, *args, namespace=None):
        """Emits and gives the arguments of the ack: None, one, or a tuple of several."""
        return await soon(self.sio.call(event, args, namespace=namespace or self.namespaces[0], timeout=10), f"the ack of {event}")

    async def emit(self, event, *args, namespace=None):
        await self.sio.emit(event, args, namespace=namespace or self.namespaces[0])

    async def id(self, namespace=None):
        return self.sio.get_sid(namespace or self.namespaces[0])

    async def close(self):
        await soon(self.sio.disconnect(), "the end of the connection")


def fresh():
    return f"/dyn-{next(NUMBERS)}"


async def reason_of(url, sid):
    client = await Client().open(url, "websocket")
    for _ in range(500):
        reason = await client.ask("reason-of", sid)
        if reason is not None:
            await client.close()
            return reason
        await asyncio.sleep(0.01)
    raise AssertionError(f"no reason for {sid} within 5 s")


async def connects(url, mode):
    client = await Client("/secret").open(url, mode, {"token": "s3cret", "user": "éva"})
    who = await client.ask("whoami")
    expect(who["data"], {"user": "éva"})
    expect(who["auth"], {"token": "s3cret", "user": "éva"})
    expect((await client.ask("request-info"))["header"], "py")
    await client.close()


async def is_refused(url, mode):
    client = Client("/secret", "/nope", "/custom")
    try:
        await client.open(url, mode, {"token": "bad"})
    except socketio.exceptions.ConnectionError:
        pass
    else:
        raise AssertionError("a bad token is not refused")
    expect(sorted(await client.several(client.refusals, 2), key=lambda refusal: refusal[0]), [
        ("/nope", {"message": "Invalid namespace"}),
        ("/secret", {"message": "not authorized", "data": {"code": "E_AUTH", "retry": False}}),
    ])
    await client.sio.disconnect()


async def events(url, mode):
    client = await Client("/custom").open(url, mode)
    values = [*TEXTS, *BINARIES, {"a": [b"\1", {"b": b"\2\3"}]}, None, 1.5, [[]], {}, True]
    for value in values:
        await client.emit("message", value, "second")
    expect(await client.several(client.events, len(values)), [("/custom", "message-back", value, "second") for value in values])
    client.events.clear()
    await client.emit("burst", 500)
    expect(await client.several(client.events, 500), [("/custom", "burst-msg", i) for i in range(500)])
    client.events.clear()
    await client.emit("nested-binary")
    expect(await client.several(client.events, 1), [
        ("/custom", "nested-binary", {"a": {"b": [b"\1", "text", b"\2\3"]}, "c": b"\4\5\6"}, None, [b""])])
    client.events.clear()
    await client.emit("big", 700_000)
    expect(await client.several(client.events, 1), [("/custom", "big", bytes(i % 256 for i in range(700_000)))])
    await client.close()


async def acks(url, mode):
    client = await Client().open(url, mode)
    for value in [*TEXTS, *BINARIES, {"a": [b"\1", None]}]:
        expect(await client.ask("message-with-ack", value), value)
    expect(await client.ask("message-with-ack", 1, b"\2"), (1, b"\2"))
    expect(await client.ask("message-with-ack"), None)
    expect(await client.ask("ack-twice"), "first")
    expect(await client.ask("types", None, b"\1\2\xff", [], {}), ["null", "binary:3:258", "array", "object"])
    expect(await asyncio.gather(*(client.ask("ack-later", 10 * (i % 3), i) for i in range(30))), list(range(30)))
    await client.emit("call-me", "question", [1, b"\2"])
    expect((await client.several(client.events, 2))[1], ("/", "called", "question", ["answer", 1, b"\2"]))
    await client.close()


async def namespaces(url, mode):
    names = ["/", "/custom", "/limited", fresh()]
    client = await Client(*names).open(url, mode)
    expect(len({client.sio.get_sid(name) for name in names}), len(names))
    for name in names:
        await client.emit("echo", name, name.encode(), namespace=name)
    expect(sorted(await client.several(client.events, len(names)), key=lambda event: event[0]),
           sorted((name, "echo", name, name.encode()) for name in names))
    expect((await client.ask("whoami", namespace="/custom"))["nsp"], "/custom")
    await client.close()


async def rooms(url, mode):
    namespace = fresh()
    clients = [await Client(namespace).open(url, mode) for _ in range(3)]
    first, second, third = clients
    await second.ask("join", ["a", "b"])
    await third.ask("join", "b")
    expect(await second.ask("rooms"), ["a", "b"])
    expect(await first.ask("members", "b"), sorted([await second.id(), await third.id()]))
    await first.emit("in-room", ["a", "b"], "one", [b"\1"])
    await first.emit("to-except", ["b"], ["a"], "two", [])
    await first.emit("broadcast", "three", [])
    await first.emit("all", "four", [])
    # Each ack comes behind what was sent before.
    for client in clients:
        await client.ask("message-with-ack")
    expect([[event[1] for event in client.events] for client in clients],
           [["four"], ["one", "three", "four"], ["one", "two", "three", "four"]])
    answer = await first.ask("broadcast-ack", ["b"], 8000, "question", ["x"])
    expect((answer["err"], answer["responses"]), (False, ["answer", "answer"]))
    for client in clients:
        await client.close()


async def disconnects(url, mode):
    for close in (False, True):
        client = await Client("/custom", "/").open(url, mode)
        sid = client.sio.get_sid("/custom")
        await client.emit("burst", 100)
        await client.emit("disconnect-me", close)
        ends = await client.several(client.ends, 1)
        expect(ends[0][0] == "/custom" or close, True)
        expect(len(client.events), 100)
        expect(await reason_of(url, sid), "server namespace disconnect")
        if not close:
            expect(await client.ask("message-with-ack", 1, namespace="/"), 1)
            sid = client.sio.get_sid("/")
            await client.close()
            # Its client closes the connection without waiting until the DISCONNECT is sent.
            reason = await reason_of(url, sid)
            expect(reason in ("client namespace disconnect", "transport close"), True)


SCENARIOS = [connects, is_refused, events, acks, namespaces, rooms, disconnects]


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
    return await run([(f"{scenario.__name__} ({mode})", scenario(url, mode)) for mode in MODES for scenario in SCENARIOS])


async def main(target):
    if target.startswith("http://"):
        return await judge(target)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # No heartbeat decides.
    environment = {**os.environ, "PORT": str(port), "PROFILE": "relaxed", "PING_TIMEOUT": "30000"}
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


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
