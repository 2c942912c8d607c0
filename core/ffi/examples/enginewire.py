"""The C ABI of Enginewire by ctypes, as far as the examples need it. The names are those of the header."""

import ctypes
import os
import time
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

OK, YES = 0, 1
ERROR_CLOSED, ERROR_FULL = -6, -7
WRITE, READ, SHUTDOWN, CLOSE, OPEN, ASK, REQUEST = range(1, 8)
SESSION_OPENED, SESSION_MESSAGE, SESSION_UPGRADED, SESSION_WRITABLE, SESSION_CLOSED = range(16, 21)
(SOCKET_CONNECT, SOCKET_CANCELLED, SOCKET_EVENT, SOCKET_ACK, SOCKET_WRITABLE, SOCKET_DISCONNECTED, GROUP_ACK,
 GROUP_COMPLETED) = range(32, 40)
SOCKET_CONNECTED, SOCKET_REFUSED, SOCKET_FAILED, SOCKET_WAITING, SOCKET_AUTH, CLIENT_CLOSED = range(48, 54)
NEVER = 2**64 - 1


class Slice(Structure):
    """Bytes that belong to somebody else. `bytes(slice)` copies them."""
    _fields_ = [("data", c_void_p), ("length", c_size_t)]

    def __bytes__(self):
        return ctypes.string_at(self.data, self.length) if self.length else b""

    def __str__(self):
        return bytes(self).decode()


class Event(Structure):
    _fields_ = [("name", Slice), ("json", Slice), ("attachments", POINTER(Slice)), ("attachment_count", c_size_t)]


class Ack(Structure):
    _fields_ = [("low", c_uint64), ("high", c_uint64), ("wanted", c_uint32), ("session", c_uint32)]


class Output(Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("kind", "binary", "failed", "secure", "port")),
        *((name, c_uint64) for name in ("connection", "session", "socket", "token")),
        *((name, Slice) for name in ("data", "host", "method", "path", "query", "name_space", "name")),
        ("event", Event), ("ack", Ack), ("reason", Slice), ("detail", Slice),
    ]


class Target(Structure):
    _fields_ = [("name_space", Slice), ("rooms", POINTER(Slice)), ("room_count", c_size_t),
                ("except_", POINTER(Slice)), ("except_count", c_size_t)]


FILL = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)
TAKE = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_size_t)


class Entropy(Structure):
    _fields_ = [("fill", FILL), ("context", c_void_p)]


@FILL
def _fill(_context, place, length):
    ctypes.memmove(place, os.urandom(length), length)
    return 0


class Error(Exception):
    """A function has failed. `code` is one of the header's."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


def text(value):
    """A slice of text or bytes. The caller keeps the value for as long as the slice."""
    data = value.encode() if isinstance(value, str) else value
    result = Slice(ctypes.cast(c_char_p(data), c_void_p), len(data))
    result.keep = data
    return result


def event(name, json=""):
    name, json = text(name), text(json)
    result = Event(name, json, None, 0)
    result.keep = (name, json)
    return result


def target(name_space, rooms=(), leave_out=()):
    keep = [text(name_space), [text(name) for name in rooms], [text(name) for name in leave_out]]
    lists = [(Slice * len(names))(*names) for names in keep[1:]]
    result = Target(keep[0], lists[0], len(lists[0]), lists[1], len(lists[1]))
    result.keep = keep, lists
    return result


def now():
    return time.monotonic_ns()


class Hub:
    """A hub. `hub.socket_join(socket, room)` is `ew_socket_join(hub, socket, room)`; errors are raised."""

    def __init__(self, library, kind, *arguments):
        self.library = ctypes.CDLL(library)
        self.library.ew_last_error.restype = c_char_p
        self.entropy = Entropy(_fill, None)
        self.id = c_uint64()
        if kind == "client":
            self.session = c_uint64()
            self.call("ew_hub_new_client", c_uint64(now()), *arguments, None, self.entropy, byref(self.id), byref(self.session))
        else:
            self.call(f"ew_hub_new_{kind}", *arguments, None, self.entropy, byref(self.id))

    def call(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        if code < 0:
            raise Error(code, self.library.ew_last_error().decode())
        return code

    def __getattr__(self, name):
        scalar = lambda argument: c_uint64(argument) if isinstance(argument, int) else argument
        return lambda *arguments: self.call(f"ew_{name}", self.id, *map(scalar, arguments))

    def poll(self):
        """The next output, or None. What it points to is valid until the next poll."""
        output = POINTER(Output)()
        self.hub_poll(now(), byref(output))
        return output.contents if output else None

    def accept(self):
        connection = c_uint64()
        self.hub_accept(now(), byref(connection))
        return connection.value

    def deadline(self):
        """Seconds until `hub_timeout` is to be called, or None."""
        deadline = c_uint64()
        self.hub_deadline(byref(deadline))
        return None if deadline.value == NEVER else max(0, deadline.value - now()) / 1e9

    def receive(self, connection, data):
        buffer = (c_uint8 * len(data)).from_buffer_copy(data)
        self.hub_receive(now(), connection, buffer, c_size_t(len(data)))

    def transmit(self, connection, socket):
        """Writes to a socket that does not block. Returns whether it takes more, or None if it has failed."""
        state = True

        @TAKE
        def take(_context, data, length):
            nonlocal state
            try:
                taken = socket.send(ctypes.string_at(data, length))
            except BlockingIOError:
                taken = 0
            except OSError:
                state = None
                return 0
            state = taken == length
            return taken

        self.hub_transmit(now(), connection, take, None)
        return state

    def socket_id(self, socket):
        name = Slice()
        self.call("ew_socket_id", self.id, c_uint64(socket), byref(name))
        return str(name)
