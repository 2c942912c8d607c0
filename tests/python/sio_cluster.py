"""A server of python-socketio with its Redis manager, and a node of ours, on one Redis: what the guide says of both.

`sio_cluster.py COMMAND`: the node is started by COMMAND with PORT, PROFILE, REDIS and PREFIX in its environment, as
`tests/js/cluster` does, and prints its port.
"""

import asyncio
import json
import os
import pathlib
import random
import re
import shlex
import sys
import tempfile

import msgpack
import redis
import socketio
from aiohttp import web

from judge import expect, run, soon

GUIDE = pathlib.Path(__file__).parents[2] / "runtime-tokio/src/guide/from_python.rs"


class Cluster:
    """Redis, a server of each kind, and a client in the room `lobby` of each."""

    async def __aenter__(self):
        self.processes = []
        try:
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def start(self):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "redis.sock")
        self.redis = redis.Redis(unix_socket_path=path)
        # Our node needs TCP. Another program may have the port.
        for _ in range(5):
            port = random.randrange(12_000, 30_000)
            options = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path, "--save", "", "--dir", self.folder.name]
            server = await self.spawn(["redis-server", *options], {})
            await until(lambda: self.answers() or server.returncode is not None, "a Redis server that answers")
            if server.returncode is None:
                break
        else:
            raise AssertionError("no Redis server finds its port free")
        url = f"redis://127.0.0.1:{port}"
        environment = {"PORT": "0", "PROFILE": "classic", "REDIS": url, "PREFIX": "socket.io"}
        node = await self.spawn(shlex.split(sys.argv[1]), environment)
        node_port = int(await soon(node.stdout.readline(), "the port of the node"))
        await self.serve(url)
        self.ours, self.news_of_ours = await self.connect(node_port)
        await soon(self.ours.call("join", "lobby"), "the room")
        self.theirs, self.news_of_theirs = await self.connect(self.port)
        await self.sio.enter_room(self.theirs.get_sid(), "lobby")
        subscribed = lambda channel: lambda: self.redis.pubsub_numsub(channel)[0][1] == 1
        await until(subscribed("socketio"), "the subscription of python-socketio")
        await until(subscribed("socket.io-request#/#"), "the subscription of the node")

    async def serve(self, url):
        manager = socketio.AsyncRedisManager(url)
        self.sio = socketio.AsyncServer(async_mode="aiohttp", client_manager=manager)
        app = web.Application()
        self.sio.attach(app)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def connect(self, port):
        client, news = socketio.AsyncClient(reconnection=False), []
        client.on("news", news.append)
        await soon(client.connect(f"http://127.0.0.1:{port}", transports=["websocket"]), "a connection")
        return client, news

    async def spawn(self, command, environment):
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def answers(self):
        try:
            return self.redis.ping()
        except redis.ConnectionError:
            return False

    async def __aexit__(self, *_):
        for name in ("ours", "theirs"):
            if client := getattr(self, name, None):
                await soon(client.disconnect(), "the end of a client")
        if runner := getattr(self, "runner", None):
            await soon(runner.cleanup(), "the end of the server")
        for process in reversed(self.processes):
            if process.returncode is None:
                process.kill()
            await process.wait()
        self.folder.cleanup()


async def each_is_reached_by_what_the_guide_says():
    guide = re.sub(r"^//! ?", "", GUIDE.read_text(), flags=re.M)
    block = lambda language: re.search(rf"```{language}\n(.*?)```", guide, re.S)[1]
    async with Cluster() as cluster:
        # From Rust.
        cluster.redis.publish("socketio", json.dumps(json.loads(block("json"))))
        await until(lambda: cluster.news_of_theirs, "news for the client of python-socketio")
        # From Python.
        code = "\n".join(line.strip() for line in block("python").splitlines())
        exec(code, {"redis": cluster.redis, "msgpack": msgpack})
        await until(lambda: cluster.news_of_ours, "news for the client of ours")
        # Each once, and no other.
        await cluster.sio.emit("news", "python alone")
        await until(lambda: len(cluster.news_of_theirs) > 1, "more news for the client of python-socketio")
        await soon(cluster.ours.call("message-with-ack", 1), "a barrier")
        expect((cluster.news_of_theirs, cluster.news_of_ours), (["hello", "python alone"], ["hello"]))


async def until(condition, what):
    async def poll():
        while not condition():
            await asyncio.sleep(0.01)

    await soon(poll(), what)


async def main():
    body = each_is_reached_by_what_the_guide_says
    return await run([(body.__name__, body())])


sys.exit(asyncio.run(main()))
