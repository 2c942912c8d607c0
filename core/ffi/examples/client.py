#!/usr/bin/env python3
"""A client of Engine.IO on one thread: sends each line that is typed, prints each message that comes.

    client.py LIBRARY URL
"""

import selectors
import socket
import sys
from ctypes import c_uint32

import enginewire as ew
from enginewire import now, text


class Client:
    def __init__(self, library, url):
        self.hub = ew.Hub(library, "client", text(url))
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
            self.hub.session_send(self.hub.session, text(line.rstrip("\n")), c_uint32(0))
        else:
            self.selector.unregister(sys.stdin)
            self.hub.session_close(now(), self.hub.session)

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
            elif output.kind == ew.SESSION_OPENED:
                print("connected", flush=True)
            elif output.kind == ew.SESSION_MESSAGE:
                print(f"{output.data.length} bytes" if output.binary else str(output.data), flush=True)
            elif output.kind == ew.SESSION_UPGRADED:
                print("upgraded", flush=True)
            elif output.kind == ew.SESSION_CLOSED:
                print(f"closed: {output.reason}", flush=True)


if __name__ == "__main__":
    Client(*sys.argv[1:3]).run()
