#!/usr/bin/env python3
"""A server on one thread and selectors: an echo of Engine.IO, or a chat of Socket.IO.

    server.py LIBRARY engine|socketio [PORT]

LIBRARY is libenginewire_ffi.so. Listens on 127.0.0.1 and prints the port, without an argument one that the system
picks. SIGTERM closes it behind what is queued.
"""

import json
import selectors
import signal
import socket
import sys
from ctypes import byref, c_uint32, c_uint64

import enginewire as ew
from enginewire import event, now, target, text


class Loop:
    """Sockets around a hub. `application` gets what is not about sockets."""

    def __init__(self, hub, port, application):
        self.hub, self.application = hub, application
        self.selector = selectors.DefaultSelector()
        self.sockets, self.blocked = {}, set()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        # A signal writes into one end.
        self.bell, self.rope = socket.socketpair()
        self.bell.setblocking(False)
        self.rope.setblocking(False)
        signal.set_wakeup_fd(self.rope.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        self.selector.register(self.bell, selectors.EVENT_READ)
        print(self.listener.getsockname()[1], flush=True)

    def run(self):
        while self.hub.hub_is_finished() != ew.YES:
            for key, ready in self.selector.select(self.hub.deadline()):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is self.bell:
                    self.bell.recv(100)
                    self.hub.hub_close(now())
                elif key.data in self.sockets:
                    self.handle(key.data, ready)
            # Behind what was read: there may be signs of life in it.
            self.hub.hub_timeout(now())
            self.drain()

    def accept(self):
        stream, _ = self.listener.accept()
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self.hub.accept()
        self.sockets[connection] = stream
        self.watch(connection)

    def handle(self, connection, ready):
        if ready & selectors.EVENT_WRITE:
            self.blocked.discard(connection)
            self.hub.hub_writable(now(), connection)
        if ready & selectors.EVENT_READ:
            try:
                data = self.sockets[connection].recv(65536)
            except BlockingIOError:
                return
            except OSError:
                return self.lose(connection)
            if data:
                self.hub.receive(connection, data)
            else:
                self.hub.hub_eof(now(), connection)
        self.watch(connection)

    def watch(self, connection):
        """Watches for what a connection waits for."""
        stream = self.sockets[connection]
        interest = selectors.EVENT_WRITE if connection in self.blocked else 0
        if self.hub.hub_is_reading(connection) == ew.YES:
            interest |= selectors.EVENT_READ
        key = self.selector.get_map().get(stream)
        if key and interest:
            if key.events != interest:
                self.selector.modify(stream, interest, connection)
        elif key:
            self.selector.unregister(stream)
        elif interest:
            self.selector.register(stream, interest, connection)

    def close(self, connection):
        stream = self.sockets.pop(connection)
        self.blocked.discard(connection)
        if stream in self.selector.get_map():
            self.selector.unregister(stream)
        stream.close()

    def lose(self, connection):
        self.hub.hub_lost(now(), connection)
        self.close(connection)

    def drain(self):
        """Does what the hub asks for, until there is nothing more."""
        while output := self.hub.poll():
            connection = output.connection
            if output.kind > ew.CLOSE:
                self.application(self.hub, output)
            elif connection not in self.sockets:
                pass
            elif output.kind == ew.CLOSE:
                self.close(connection)
            elif output.kind == ew.SHUTDOWN:
                try:
                    self.sockets[connection].shutdown(socket.SHUT_WR)
                except OSError:
                    self.lose(connection)
            else:
                if output.kind == ew.WRITE:
                    takes_more = self.hub.transmit(connection, self.sockets[connection])
                    if takes_more is None:
                        self.lose(connection)
                        continue
                    if not takes_more:
                        self.blocked.add(connection)
                self.watch(connection)


class Echo:
    """Each message goes back. A session without room is not read until there is some."""

    def __init__(self):
        self.waiting = {}

    def __call__(self, hub, output):
        session = output.session
        if output.kind == ew.SESSION_MESSAGE:
            self.send(hub, session, bytes(output.data), output.binary)
        elif output.kind == ew.SESSION_WRITABLE and session in self.waiting:
            hub.session_resume(session)
            self.send(hub, session, *self.waiting.pop(session))
        elif output.kind == ew.SESSION_CLOSED:
            self.waiting.pop(session, None)

    def send(self, hub, session, data, binary):
        try:
            hub.session_send(session, text(data), c_uint32(binary))
        except ew.Error as error:
            if error.code == ew.ERROR_FULL:
                self.waiting[session] = data, binary
                hub.session_pause(session)
            elif error.code != ew.ERROR_CLOSED:
                raise


class Chat:
    """Rooms, acknowledgements, votes."""

    votes = 0

    def __call__(self, hub, output):
        if output.kind == ew.SOCKET_CONNECT:
            self.connect(hub, output)
        elif output.kind == ew.SOCKET_EVENT:
            self.handle(hub, output)
        elif output.kind == ew.SOCKET_ACK and output.socket:
            output.event.name = name = text("unanswered" if output.failed else "answered")
            emit(hub.socket_emit, output.socket, byref(output.event))
        elif output.kind == ew.GROUP_ACK:
            self.votes += not output.failed
        elif output.kind == ew.GROUP_COMPLETED:
            voted = event("voted", json.dumps([self.votes]))
            hub.namespace_emit(byref(target("/")), byref(voted), c_uint32(0), None)

    def connect(self, hub, output):
        auth = json.loads(str(output.event.json) or "null")
        if str(output.name_space) != "/":
            hub.socket_refuse(now(), output.socket, text("Invalid namespace"), text(""))
        elif auth == {"token": "expired"}:
            data = text(json.dumps({"code": "EXPIRED"}))
            hub.socket_refuse(now(), output.socket, text("your token has expired"), data)
        else:
            hub.socket_accept(now(), output.socket)

    def handle(self, hub, output):
        name, arguments = str(output.event.name), json.loads(str(output.event.json))
        reply, token = event("", '["ok"]'), c_uint64()
        if name == "echo":
            reply = output.event
            emit(hub.socket_emit, output.socket, byref(output.event))
        elif name in ("join", "leave"):
            getattr(hub, f"socket_{name}")(output.socket, text(arguments[0]))
        elif name == "say":
            said = ew.Event.from_buffer_copy(output.event)
            said.name = word = text("said")
            others = target("/", [arguments[0]], [hub.socket_id(output.socket)])
            hub.namespace_emit(byref(others), byref(said), c_uint32(0), None)
        elif name == "question":
            hub.socket_emit_with_ack(now(), output.socket, byref(output.event), 5000, byref(token))
        elif name == "vote":
            self.votes = 0
            hub.namespace_emit_with_ack(now(), byref(target("/")), byref(output.event), 5000, byref(token))
        elif name == "quit":
            hub.socket_disconnect(output.socket)
        if output.ack.wanted:
            emit(hub.socket_acknowledge, output.socket, output.ack, byref(reply))


def emit(function, *arguments):
    """A chat that does not read may miss something."""
    try:
        function(*arguments)
    except ew.Error as error:
        if error.code not in (ew.ERROR_CLOSED, ew.ERROR_FULL):
            raise


if __name__ == "__main__":
    library, kind, port = [*sys.argv[1:], "0"][:3]
    hub = ew.Hub(library, {"engine": "server", "socketio": "socketio"}[kind])
    Loop(hub, int(port), Chat() if kind == "socketio" else Echo()).run()
    hub.hub_free()
