#!/usr/bin/env python3
"""A client of Engine.IO or Socket.IO on one thread: sends each line that is typed, prints what comes.

    client.py LIBRARY engine|socketio URL [NAMESPACE [AUTH]]

With Socket.IO a line is an event and its argument: `say hello`. AUTH is JSON.
"""

import json
import selectors
import socket
import sys
from ctypes import byref, c_uint32, c_uint64

import enginewire as ew
from enginewire import event, now, text


class Loop:
    """Sockets around a hub. `application` gets what is not about sockets."""

    def __init__(self, hub, application):
        self.hub, self.application = hub, application
        self.selector = selectors.DefaultSelector()
        self.sockets, self.blocked = {}, set()

    def run(self):
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.drain()
        while self.hub.hub_is_finished() != ew.YES:
            for key, ready in self.selector.select(self.hub.deadline()):
                if key.fileobj is sys.stdin:
                    self.type(sys.stdin.readline())
                elif key.data in self.sockets:
                    self.handle(key.data, ready)
            self.hub.hub_timeout(now())
            self.drain()
        self.hub.hub_free()

    def type(self, line):
        if line:
            self.application.send(self.hub, line.rstrip("\n"))
        else:
            self.selector.unregister(sys.stdin)
            self.hub.hub_close(now())

    def handle(self, connection, ready):
        stream = self.sockets[connection]
        if ready & selectors.EVENT_WRITE:
            self.blocked.discard(connection)
            self.hub.hub_writable(now(), connection)
        if ready & selectors.EVENT_READ:
            try:
                data = stream.recv(65536)
            except OSError:
                self.hub.hub_lost(now(), connection)
                return self.close(connection)
            if data:
                self.hub.receive(connection, data)
            else:
                # The hub asks to close it.
                self.hub.hub_eof(now(), connection)
                return
        self.watch(connection)

    def watch(self, connection):
        writes = selectors.EVENT_WRITE if connection in self.blocked else 0
        self.selector.modify(self.sockets[connection], selectors.EVENT_READ | writes, connection)

    def open(self, connection, host, port):
        try:
            stream = socket.create_connection((host, port))
        except OSError:
            return self.hub.hub_refused(now(), connection)
        stream.setblocking(False)
        self.sockets[connection] = stream
        self.selector.register(stream, selectors.EVENT_READ, connection)
        self.hub.hub_connected(now(), connection)

    def close(self, connection):
        if stream := self.sockets.pop(connection, None):
            self.selector.unregister(stream)
            stream.close()

    def drain(self):
        while output := self.hub.poll():
            connection = output.connection
            if output.kind == ew.OPEN:
                self.open(connection, str(output.host), output.port)
            elif output.kind == ew.CLOSE:
                self.close(connection)
            elif output.kind == ew.WRITE:
                takes_more = self.hub.transmit(connection, self.sockets[connection])
                if takes_more is None:
                    self.hub.hub_lost(now(), connection)
                    self.close(connection)
                elif not takes_more:
                    self.blocked.add(connection)
                    self.watch(connection)
            else:
                self.application.handle(output)


class Messages:
    """Engine.IO: messages."""

    def send(self, hub, line):
        hub.session_send(hub.session, text(line), c_uint32(0))

    def handle(self, output):
        if output.kind == ew.SESSION_OPENED:
            say("connected")
        elif output.kind == ew.SESSION_MESSAGE:
            say(f"{output.data.length} bytes" if output.binary else str(output.data))
        elif output.kind == ew.SESSION_UPGRADED:
            say("upgraded")
        elif output.kind == ew.SESSION_CLOSED:
            say(f"closed: {output.reason}")


class Events:
    """Socket.IO: events, and acknowledgements of those that were sent."""

    def __init__(self, hub, name_space="/", auth=""):
        self.socket = c_uint64()
        hub.socket_open(now(), text(name_space), text(auth), c_uint32(0), byref(self.socket))

    def send(self, hub, line):
        name, argument = line.split(" ", 1)
        sent, token = event(name, json.dumps([argument])), c_uint64()
        hub.socket_emit_with_ack(now(), self.socket, byref(sent), 2000, byref(token))

    def handle(self, output):
        if output.kind == ew.SOCKET_CONNECTED:
            say("connected")
        elif output.kind == ew.SOCKET_EVENT:
            say(f"{output.event.name} {output.event.json}")
        elif output.kind == ew.SOCKET_ACK:
            say(f"no acknowledgement: {output.reason}" if output.failed else f"acknowledged {output.event.json}")
        elif output.kind == ew.SOCKET_REFUSED:
            say(f"refused: {output.reason} {output.event.json}")
        elif output.kind == ew.SOCKET_FAILED:
            say(f"failed: {output.reason}")
        elif output.kind == ew.SOCKET_DISCONNECTED:
            say(f"disconnected: {output.reason}")


def say(line):
    print(line, flush=True)


if __name__ == "__main__":
    library, kind, url, *connect = sys.argv[1:]
    hub = ew.Hub(library, {"engine": "client", "socketio": "socketio_client"}[kind], text(url))
    Loop(hub, Messages() if kind == "engine" else Events(hub, *connect)).run()
