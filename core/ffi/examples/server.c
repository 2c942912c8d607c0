/* A server on one thread and epoll: an echo of Engine.IO, or a chat of Socket.IO.
 *
 *   server engine|socketio [PORT]
 *
 * Listens on 127.0.0.1 and prints the port, without an argument one that the system picks. SIGTERM closes it behind
 * what is queued, a second one at once.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "enginewire.h"

/* The event loop: sockets, a clock and entropy around a hub. */

/* A connection of the hub and its socket. In a table, in the place that ew_index gives. */
struct connection {
  ew_connection id;
  int fd;
  uint32_t interest; /* Events that epoll watches for. */
  int blocked;       /* The socket has not taken everything. */
  int failed;
};

/* Told apart from ids of connections, which are never so small. */
enum { LISTENER = 1, SIGNALS = 2 };

static ew_hub hub;
static int poller;
static struct connection *connections;
static size_t places;

static void application(const ew_output *output);

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* A function of the hub failed that cannot, unless this program is wrong. */
static ew_code must(ew_code code) {
  if (code < 0) {
    fprintf(stderr, "error %d: %s\n", code, ew_last_error());
    exit(1);
  }
  return code;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int32_t entropy(void *context, uint8_t *bytes, size_t length) {
  (void)context;
  while (length > 0) {
    ssize_t filled = getrandom(bytes, length, 0);
    if (filled < 0 && errno != EINTR) return -1;
    if (filled < 0) continue;
    bytes += filled;
    length -= (size_t)filled;
  }
  return 0;
}

/* The connection of an id, unless it was closed. */
static struct connection *find(ew_connection id) {
  size_t index = ew_index(id);
  return index < places && connections[index].id == id ? &connections[index] : NULL;
}

/* Watches for what the connection waits for. */
static void watch(struct connection *on) {
  int reads = must(ew_hub_is_reading(hub, on->id)) == EW_YES;
  uint32_t interest = (reads ? EPOLLIN : 0) | (on->blocked ? EPOLLOUT : 0);
  if (interest == on->interest) return;
  struct epoll_event event = {.events = on->interest = interest, .data.u64 = on->id};
  if (epoll_ctl(poller, EPOLL_CTL_MOD, on->fd, &event) < 0) die("epoll_ctl");
}

static void close_connection(struct connection *on) {
  close(on->fd);
  on->id = 0;
}

static void lose(struct connection *on) {
  must(ew_hub_lost(hub, now(), on->id));
  close_connection(on);
}

static void accept_all(int listener) {
  int fd;
  while (must(ew_hub_is_accepting(hub)) == EW_YES &&
         (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct connection on = {.fd = fd, .interest = EPOLLIN};
    must(ew_hub_accept(hub, now(), &on.id));
    size_t index = ew_index(on.id);
    if (index >= places) {
      size_t more = 2 * index + 16;
      connections = realloc(connections, more * sizeof *connections);
      if (!connections) die("realloc");
      memset(connections + places, 0, (more - places) * sizeof *connections);
      places = more;
    }
    connections[index] = on;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = on.id};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  }
}

static void read_from(struct connection *on) {
  static uint8_t buffer[65536];
  if (must(ew_hub_is_reading(hub, on->id)) != EW_YES) return;
  ssize_t length = recv(on->fd, buffer, sizeof buffer, 0);
  if (length > 0) {
    must(ew_hub_receive(hub, now(), on->id, buffer, (size_t)length));
  } else if (length == 0) {
    must(ew_hub_eof(hub, now(), on->id));
  } else if (errno != EAGAIN && errno != EINTR) {
    lose(on);
  }
}

/* Called by the hub with bytes for a socket. Must not use the hub. */
static size_t write_some(void *context, const uint8_t *bytes, size_t length) {
  struct connection *on = context;
  ssize_t written = send(on->fd, bytes, length, MSG_NOSIGNAL);
  on->failed = written < 0 && errno != EAGAIN && errno != EINTR;
  if (written < 0) written = 0;
  on->blocked = (size_t)written < length;
  return (size_t)written;
}

static void write_to(struct connection *on) {
  must(ew_hub_transmit(hub, now(), on->id, write_some, on));
  if (on->failed) lose(on);
}

static void handle(struct connection *on, uint32_t events) {
  if (events & EPOLLOUT) {
    on->blocked = 0;
    must(ew_hub_writable(hub, now(), on->id));
  }
  if (events & EPOLLIN) {
    read_from(on);
  } else if (events & (EPOLLHUP | EPOLLERR)) {
    lose(on);
  }
  if (on->id) watch(on);
}

/* Does what the hub asks for, until there is nothing more. */
static void drain(void) {
  const ew_output *output;
  for (;;) {
    must(ew_hub_poll(hub, now(), &output));
    if (!output) return;
    if (output->kind > EW_OUTPUT_CLOSE) {
      application(output);
      continue;
    }
    struct connection *on = find(output->connection);
    if (!on) continue;
    switch (output->kind) {
      case EW_OUTPUT_WRITE: write_to(on); break;
      case EW_OUTPUT_SHUTDOWN: shutdown(on->fd, SHUT_WR); break;
      case EW_OUTPUT_CLOSE: close_connection(on); break;
      default: break; /* EW_OUTPUT_READ: watching is all. */
    }
    if (on->id) watch(on);
  }
}

static int patience(void) {
  uint64_t deadline, time = now();
  must(ew_hub_deadline(hub, &deadline));
  if (deadline == EW_NEVER) return -1;
  uint64_t wait = deadline > time ? (deadline - time) / 1000000 + 1 : 0;
  return wait > 60000 ? 60000 : (int)wait;
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  /* Connections inherit it. */
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (fd < 0 || bind(fd, (void *)&address, length) < 0 || listen(fd, 1024) < 0) die("listen");
  if (getsockname(fd, (void *)&address, &length) < 0) die("getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

static void add(int fd, uint64_t id) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = id};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void run(int listener, int signals) {
  struct epoll_event events[256];
  int closing = 0;
  while (must(ew_hub_is_finished(hub)) != EW_YES) {
    int count = epoll_wait(poller, events, 256, patience());
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == LISTENER) {
        accept_all(listener);
      } else if (events[i].data.u64 == SIGNALS) {
        struct signalfd_siginfo info;
        if (read(signals, &info, sizeof info) < 0) die("read");
        must(closing++ ? ew_hub_abort(hub, now()) : ew_hub_close(hub, now()));
      } else {
        struct connection *on = find(events[i].data.u64);
        if (on) handle(on, events[i].events);
      }
    }
    /* Behind what was read: there may be signs of life in it. */
    must(ew_hub_timeout(hub, now()));
    drain();
  }
}

/* Application 1, of Engine.IO: each message goes back. */

/* A reply for which there was no room. At most one for each session, which is paused then. */
struct waiting {
  uint8_t *data;
  size_t length;
  uint32_t binary;
};

static struct waiting *waiting;
static size_t waiting_places;

static struct waiting *waiting_of(ew_session session) {
  size_t index = ew_index(session);
  if (index >= waiting_places) {
    size_t more = 2 * index + 16;
    waiting = realloc(waiting, more * sizeof *waiting);
    if (!waiting) die("realloc");
    memset(waiting + waiting_places, 0, (more - waiting_places) * sizeof *waiting);
    waiting_places = more;
  }
  return &waiting[index];
}

static void echo(ew_session session, ew_slice data, uint32_t binary) {
  ew_code code = ew_session_send(hub, session, data, binary);
  if (code == EW_ERROR_CLOSED) return;
  if (code != EW_ERROR_FULL) {
    must(code);
    return;
  }
  struct waiting *reply = waiting_of(session);
  *reply = (struct waiting){malloc(data.length + 1), data.length, binary};
  if (!reply->data) die("malloc");
  if (data.length > 0) memcpy(reply->data, data.data, data.length);
  must(ew_session_pause(hub, session));
}

static void echo_application(const ew_output *output) {
  struct waiting *reply = waiting_of(output->session), taken = *reply;
  switch (output->kind) {
    case EW_OUTPUT_SESSION_MESSAGE: echo(output->session, output->data, output->binary); break;
    case EW_OUTPUT_SESSION_WRITABLE:
    case EW_OUTPUT_SESSION_CLOSED:
      *reply = (struct waiting){0};
      if (taken.data && output->kind == EW_OUTPUT_SESSION_WRITABLE) {
        must(ew_session_resume(hub, output->session));
        echo(output->session, (ew_slice){taken.data, taken.length}, taken.binary);
      }
      free(taken.data);
      break;
    default: break;
  }
}

/* Application 2, of Socket.IO: rooms, acknowledgements, votes. */

static size_t votes;

static int is(ew_slice text, const char *word) {
  return text.length == strlen(word) && (text.length == 0 || memcmp(text.data, word, text.length) == 0);
}

/* The first argument, if it is a string; what needs escapes in JSON is no name of a room here. */
static ew_slice first_string(ew_slice json) {
  const uint8_t *start = json.length > 2 && json.data[1] == '"' ? json.data + 2 : NULL;
  const uint8_t *end = start ? memchr(start, '"', json.length - 2) : NULL;
  return end ? (ew_slice){start, (size_t)(end - start)} : (ew_slice){NULL, 0};
}

static ew_event event(const char *name, ew_slice json) {
  return (ew_event){.name = ew_text(name), .json = json};
}

static void emit(ew_socket socket, const ew_event *event) {
  ew_code code = ew_socket_emit(hub, socket, event);
  /* A chat that does not read may miss something. */
  if (code != EW_ERROR_FULL && code != EW_ERROR_CLOSED) must(code);
}

static void handle_event(const ew_output *output) {
  ew_event reply = event("", ew_text("[\"ok\"]"));
  ew_slice name = output->event.name, room = first_string(output->event.json), id;
  must(ew_socket_id(hub, output->socket, &id));
  if (is(name, "echo")) {
    reply = output->event;
    emit(output->socket, &output->event);
  } else if (is(name, "join")) {
    must(ew_socket_join(hub, output->socket, room));
  } else if (is(name, "leave")) {
    must(ew_socket_leave(hub, output->socket, room));
  } else if (is(name, "say")) {
    ew_target members = {.name_space = ew_text("/"), .rooms = &room, .room_count = 1, .except = &id, .except_count = 1};
    ew_event said = output->event;
    said.name = ew_text("said");
    must(ew_namespace_emit(hub, &members, &said, 0, NULL));
  } else if (is(name, "question")) {
    uint64_t token;
    must(ew_socket_emit_with_ack(hub, now(), output->socket, &output->event, 5000, &token));
  } else if (is(name, "vote")) {
    ew_target everybody = {.name_space = ew_text("/")};
    uint64_t token;
    votes = 0;
    must(ew_namespace_emit_with_ack(hub, now(), &everybody, &output->event, 5000, &token));
  } else if (is(name, "quit")) {
    must(ew_socket_disconnect(hub, output->socket));
  }
  if (output->ack.wanted) {
    ew_code code = ew_socket_acknowledge(hub, output->socket, output->ack, &reply);
    if (code != EW_ERROR_FULL && code != EW_ERROR_CLOSED) must(code);
  }
}

static void chat_application(const ew_output *output) {
  char json[32];
  switch (output->kind) {
    case EW_OUTPUT_SOCKET_CONNECT: {
      ew_slice none = {NULL, 0};
      if (!is(output->name_space, "/")) {
        must(ew_socket_refuse(hub, now(), output->socket, ew_text("Invalid namespace"), none));
      } else if (is(output->event.json, "{\"token\":\"expired\"}")) {
        ew_slice data = ew_text("{\"code\":\"EXPIRED\"}");
        must(ew_socket_refuse(hub, now(), output->socket, ew_text("your token has expired"), data));
      } else {
        must(ew_socket_accept(hub, now(), output->socket));
      }
      break;
    }
    case EW_OUTPUT_SOCKET_EVENT: handle_event(output); break;
    case EW_OUTPUT_SOCKET_ACK: {
      ew_event answered = output->event;
      answered.name = ew_text(output->failed ? "unanswered" : "answered");
      if (output->socket) emit(output->socket, &answered);
      break;
    }
    case EW_OUTPUT_GROUP_ACK: votes += !output->failed; break;
    case EW_OUTPUT_GROUP_COMPLETED: {
      snprintf(json, sizeof json, "[%zu]", votes);
      ew_target everybody = {.name_space = ew_text("/")};
      ew_event voted = event("voted", ew_text(json));
      must(ew_namespace_emit(hub, &everybody, &voted, 0, NULL));
      break;
    }
    default: break;
  }
}

static int is_chat;

static void application(const ew_output *output) {
  (is_chat ? chat_application : echo_application)(output);
}

int main(int count, char **arguments) {
  is_chat = count > 1 && strcmp(arguments[1], "socketio") == 0;
  ew_server_config config = {.size = sizeof config};
  must(ew_server_config_default(&config));
  ew_entropy source = {.fill = entropy};
  must((is_chat ? ew_hub_new_socketio : ew_hub_new_server)(&config, source, &hub));

  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  int signals = signalfd(-1, &mask, SFD_CLOEXEC);
  poller = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_on(count > 2 ? atoi(arguments[2]) : 0);
  add(listener, LISTENER);
  add(signals, SIGNALS);
  run(listener, signals);

  must(ew_hub_free(hub));
  free(connections);
  free(waiting);
  return 0;
}
