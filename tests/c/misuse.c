/* Misuse of the C ABI: each gives its code, and nothing that a sanitizer sees. */

#include <pthread.h>

#include "harness.h"

static const ew_slice NOT_UTF8 = {(const uint8_t *)"\xff", 1};
static const ew_slice NULL_BYTES = {NULL, 1};
static const ew_slice OVERSIZED = {(const uint8_t *)"a", SIZE_MAX};

/* `421["a"]`, which wants no. 1 to be acknowledged; `42["a"]`, which wants nothing. */
static const char ASKS[] = "\x81\x88\0\0\0\0" "421[\"a\"]";
static const char TELLS[] = "\x81\x87\0\0\0\0" "42[\"a\"]";

static size_t take_too_much(void *context, const uint8_t *bytes, size_t length) {
  (void)context, (void)bytes;
  return length + 1;
}

static void hubs(void) {
  ew_hub hub = 1, freed;
  CHECK(ew_hub_free(0), EW_ERROR_HUB);
  CHECK(ew_hub_free(1), EW_ERROR_HUB);
  CHECK(ew_hub_free(UINT64_MAX), EW_ERROR_HUB);
  CHECK(ew_hub_timeout(0, 0), EW_ERROR_HUB);
  CHECK(ew_hub_new_server(NULL, SOURCE, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_new_server(NULL, (ew_entropy){0}, &hub), EW_ERROR_ARGUMENT);
  if (hub != 0) failures++, fprintf(stderr, "a hub was given together with an error\n");

  OK(ew_hub_new_server(NULL, SOURCE, &hub));
  OK(ew_hub_free(freed = hub));
  CHECK(ew_hub_free(freed), EW_ERROR_HUB);
  ew_connection connection;
  const ew_output *output;
  CHECK(ew_hub_accept(freed, 0, &connection), EW_ERROR_HUB);
  CHECK(ew_hub_poll(freed, 0, &output), EW_ERROR_HUB);
  CHECK(ew_session_send(freed, 1, NONE, 0), EW_ERROR_HUB);
  /* Its place is used again, its id is not. */
  OK(ew_hub_new_server(NULL, SOURCE, &hub));
  CHECK(ew_hub_free(freed), EW_ERROR_HUB);
  if (hub == freed) failures++, fprintf(stderr, "the id of a hub was used again\n");
  OK(ew_hub_free(hub));
}

static void configs(void) {
  ew_hub hub;
  ew_session session;
  ew_server_config config = {.size = sizeof config};
  CHECK(ew_server_config_default(NULL), EW_ERROR_ARGUMENT);
  for (size_t size = 0; size < 2 * sizeof config; size++) {
    /* A program of another version: no byte behind its own is touched. */
    size_t *other = malloc(size < sizeof size ? sizeof size : size);
    *other = size;
    CHECK(ew_server_config_default((ew_server_config *)other), size == sizeof config ? EW_OK : EW_ERROR_ARGUMENT);
    free(other);
  }
  _Alignas(8) char bytes[sizeof config + 1];
  CHECK(ew_server_config_default((ew_server_config *)(void *)(bytes + 1)), EW_ERROR_ARGUMENT);

  OK(ew_server_config_default(&config));
  config.polling = config.websocket = 0;
  CHECK(ew_hub_new_server(&config, SOURCE, &hub), EW_ERROR_ARGUMENT);
  config.polling = 200;
  config.path = NOT_UTF8;
  CHECK(ew_hub_new_socketio(&config, SOURCE, &hub), EW_ERROR_ARGUMENT);
  config.path = NULL_BYTES;
  CHECK(ew_hub_new_server(&config, SOURCE, &hub), EW_ERROR_ARGUMENT);
  config.path = NONE;
  config.size--;
  CHECK(ew_hub_new_server(&config, SOURCE, &hub), EW_ERROR_ARGUMENT);

  ew_client_config client = {.size = sizeof client};
  OK(ew_client_config_default(&client));
  CHECK(ew_hub_new_client(0, ew_text("ftp://a"), NULL, SOURCE, &hub, &session), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_new_client(0, ew_text(NULL), NULL, SOURCE, &hub, &session), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_new_client(0, ew_text("http://a"), NULL, SOURCE, &hub, NULL), EW_ERROR_ARGUMENT);
  ew_header smuggled = {ew_text("a"), ew_text("b\r\nc: d")};
  client.headers = &smuggled;
  client.header_count = 1;
  CHECK(ew_hub_new_client(0, ew_text("http://a"), &client, SOURCE, &hub, &session), EW_ERROR_ARGUMENT);
  client.header_count = SIZE_MAX;
  CHECK(ew_hub_new_client(0, ew_text("http://a"), &client, SOURCE, &hub, &session), EW_ERROR_ARGUMENT);
}

static void kinds(void) {
  ew_hub server, socketio, client;
  ew_session session;
  ew_connection connection;
  ew_event event = {.name = ew_text("a")};
  ew_target target = {.name_space = ew_text("/")};
  OK(ew_hub_new_server(NULL, SOURCE, &server));
  OK(ew_hub_new_socketio(NULL, SOURCE, &socketio));
  OK(ew_hub_new_client(0, ew_text("http://a"), NULL, SOURCE, &client, &session));
  CHECK(ew_hub_accept(client, 0, &connection), EW_ERROR_KIND);
  CHECK(ew_hub_is_accepting(client), EW_ERROR_KIND);
  CHECK(ew_hub_connected(server, 0, 1), EW_ERROR_KIND);
  CHECK(ew_hub_refused(socketio, 0, 1), EW_ERROR_KIND);
  CHECK(ew_session_send(socketio, 1, NONE, 0), EW_ERROR_KIND);
  CHECK(ew_session_pause(client, session), EW_ERROR_KIND);
  CHECK(ew_session_broadcast(client, NULL, 0, NONE, 0, NULL), EW_ERROR_KIND);
  CHECK(ew_socket_join(server, 1, ew_text("a")), EW_ERROR_KIND);
  CHECK(ew_socket_emit(client, 1, &event), EW_ERROR_KIND);
  CHECK(ew_namespace_emit(server, &target, &event, 0, NULL), EW_ERROR_KIND);
  CHECK(ew_request_allow(client, 1), EW_ERROR_KIND);
  /* The session of a client that is not its own. */
  CHECK(ew_session_send(client, session + 1, NONE, 0), EW_ERROR_CLOSED);
  CHECK(ew_session_send(client, 1, NONE, 0), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_refused(client, 0, 1), EW_ERROR_ARGUMENT);
  OK(ew_session_send(client, session, ew_text("waits"), 0));
  OK(ew_hub_free(server));
  OK(ew_hub_free(socketio));
  OK(ew_hub_free(client));
}

static void connections(void) {
  ew_hub hub;
  ew_connection first, second;
  OK(ew_hub_new_server(NULL, SOURCE, &hub));
  CHECK(ew_hub_accept(hub, 0, NULL), EW_ERROR_ARGUMENT);
  OK(ew_hub_accept(hub, 0, &first));
  CHECK(ew_hub_receive(hub, 0, first, NULL, 1), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_receive(hub, 0, first, (uint8_t *)"a", SIZE_MAX), EW_ERROR_ARGUMENT);
  OK(ew_hub_receive(hub, 0, first, NULL, 0));
  CHECK(ew_hub_is_reading(hub, first), EW_YES);
  CHECK(ew_hub_transmit(hub, 0, first, NULL, NULL), EW_ERROR_ARGUMENT);
  OK(ew_hub_transmit(hub, 0, first, take_all, NULL));
  OK(ew_hub_lost(hub, 0, first));
  CHECK(ew_hub_lost(hub, 0, first), EW_ERROR_CLOSED);
  CHECK(ew_hub_eof(hub, 0, first), EW_ERROR_CLOSED);
  CHECK(ew_hub_is_reading(hub, first), EW_ERROR_CLOSED);
  CHECK(receive(hub, first, OPEN_POLLING, sizeof OPEN_POLLING - 1), EW_ERROR_CLOSED);
  /* Its place is used again, its id is not. */
  OK(ew_hub_accept(hub, 0, &second));
  CHECK(ew_index(first) == ew_index(second) ? EW_OK : EW_YES, EW_OK);
  CHECK(ew_hub_eof(hub, 0, first), EW_ERROR_CLOSED);
  CHECK(ew_hub_eof(hub, 0, 0), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_eof(hub, 0, second + 1), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_eof(hub, 0, hub), EW_ERROR_ARGUMENT);
  CHECK(ew_request_allow(hub, second), EW_ERROR_CLOSED);
  CHECK(ew_request_respond(hub, second, 200, NONE, NONE), EW_ERROR_CLOSED);
  CHECK(ew_request_respond(hub, second, 99, NONE, NONE), EW_ERROR_ARGUMENT);
  CHECK(ew_request_refuse(hub, second, 500, NONE), EW_ERROR_ARGUMENT);
  ew_slice value;
  CHECK(ew_request_header(hub, ew_text("host"), &value), EW_ERROR_CLOSED);
  CHECK(ew_hub_poll(hub, 0, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_deadline(hub, NULL), EW_ERROR_ARGUMENT);

  OK(receive(hub, second, OPEN_POLLING, sizeof OPEN_POLLING - 1));
  const ew_output *output = until(hub, EW_OUTPUT_SESSION_OPENED);
  ew_session session = output->session;
  CHECK(ew_request_header(hub, ew_text("HOST"), &value), EW_YES);
  OK(ew_request_header(hub, ew_text("cookie"), &value));
  CHECK(ew_request_header(hub, ew_text("host"), NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_session_send(hub, second, NONE, 0), EW_ERROR_ARGUMENT);
  CHECK(ew_session_send(hub, session, NULL_BYTES, 1), EW_ERROR_ARGUMENT);
  CHECK(ew_session_send(hub, session, OVERSIZED, 1), EW_ERROR_ARGUMENT);
  CHECK(ew_session_send(hub, session, NOT_UTF8, 0), EW_ERROR_ARGUMENT);
  CHECK(ew_session_broadcast(hub, &session, SIZE_MAX, NONE, 0, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_session_broadcast(hub, NULL, 1, NONE, 0, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_transmit(hub, 0, second, take_too_much, NULL), EW_ERROR_ARGUMENT);
  /* Never polled, so never sent. */
  for (int i = 0; i < 100000; i++) {
    ew_code code = ew_session_send(hub, session, ew_text("0123456789"), 0);
    if (code == EW_ERROR_FULL) break;
    OK(code);
  }
  CHECK(ew_session_send(hub, session, NONE, 0), EW_ERROR_FULL);
  OK(ew_session_abort(hub, session));
  until(hub, EW_OUTPUT_SESSION_CLOSED);
  CHECK(ew_session_send(hub, session, NONE, 0), EW_ERROR_CLOSED);
  CHECK(ew_session_abort(hub, session), EW_ERROR_CLOSED);

  OK(ew_hub_timeout(hub, 5));
  CHECK(ew_hub_timeout(hub, 4), EW_ERROR_ARGUMENT);
  CHECK(ew_hub_close(hub, 4), EW_ERROR_ARGUMENT);
  OK(ew_hub_free(hub));
}

static void sockets(void) {
  ew_hub hub;
  ew_connection connection;
  uint64_t token;
  ew_slice id;
  ew_event event = {.name = ew_text("a"), .json = ew_text("[1]")};
  ew_target target = {.name_space = ew_text("/")};
  OK(ew_hub_new_socketio(NULL, SOURCE, &hub));
  OK(ew_hub_accept(hub, 0, &connection));
  OK(receive(hub, connection, OPEN_SOCKETIO, sizeof OPEN_SOCKETIO - 1));
  ew_socket socket = until(hub, EW_OUTPUT_SOCKET_CONNECT)->socket;

  /* Before it is accepted. */
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_CLOSED);
  CHECK(ew_socket_join(hub, socket, ew_text("tea")), EW_ERROR_CLOSED);
  CHECK(ew_socket_id(hub, socket, &id), EW_ERROR_CLOSED);
  CHECK(ew_socket_refuse(hub, 0, socket, ew_text("no"), ew_text("{")), EW_ERROR_ARGUMENT);
  CHECK(ew_socket_accept(hub, 0, connection), EW_ERROR_ARGUMENT);
  OK(ew_socket_accept(hub, 0, socket));
  CHECK(ew_socket_accept(hub, 0, socket), EW_ERROR_CLOSED);
  CHECK(ew_socket_refuse(hub, 0, socket, NONE, NONE), EW_ERROR_CLOSED);

  OK(ew_socket_emit(hub, socket, &event));
  CHECK(ew_socket_emit(hub, socket, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_socket_id(hub, socket, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_socket_join(hub, socket, NOT_UTF8), EW_ERROR_ARGUMENT);
  CHECK(ew_socket_emit_with_ack(hub, 0, socket, &event, 1, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_namespace_emit(hub, NULL, &event, 0, NULL), EW_ERROR_ARGUMENT);
  target.room_count = 1;
  CHECK(ew_namespace_emit(hub, &target, &event, 0, NULL), EW_ERROR_ARGUMENT);
  target.rooms = &OVERSIZED;
  CHECK(ew_namespace_emit(hub, &target, &event, 0, NULL), EW_ERROR_ARGUMENT);
  static const char *const JSON[] = {"[", "{}", "1", "[1]]", "[NaN]", "[\"\x01\"]"};
  for (size_t i = 0; i < sizeof JSON / sizeof *JSON; i++) {
    event.json = ew_text(JSON[i]);
    CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  }
  event.json = NOT_UTF8;
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  event.json = NONE;
  event.name = ew_text("disconnect");
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  event.name = NOT_UTF8;
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  event.name = ew_text("a");
  event.attachment_count = 1;
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  ew_slice many[11] = {{NULL, 0}};
  event.attachments = many;
  event.json = ew_text("[{\"_placeholder\":true,\"num\":1}]");
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  event.json = ew_text("[{\"_placeholder\":true,\"num\":0}]");
  OK(ew_socket_emit(hub, socket, &event));
  many[0] = NULL_BYTES;
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  many[0] = NONE;
  event.attachment_count = 11;
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_ARGUMENT);
  event = (ew_event){.name = ew_text("a")};

  OK(receive(hub, connection, TELLS, sizeof TELLS - 1));
  ew_ack ack = until(hub, EW_OUTPUT_SOCKET_EVENT)->ack;
  CHECK(ew_socket_acknowledge(hub, socket, ack, &event), EW_ERROR_ARGUMENT);
  OK(receive(hub, connection, ASKS, sizeof ASKS - 1));
  const ew_output *output = until(hub, EW_OUTPUT_SOCKET_EVENT);
  ack = output->ack;
  CHECK(ew_socket_acknowledge(hub, socket, ack, NULL), EW_ERROR_ARGUMENT);
  /* What it points to belongs to the hub, and may be given back. */
  OK(ew_socket_acknowledge(hub, socket, ack, &output->event));
  OK(ew_socket_emit(hub, socket, &output->event));

  OK(ew_socket_emit_with_ack(hub, 0, socket, &event, UINT64_MAX, &token));
  for (int i = 1; i < 1024; i++) {
    uint64_t further;
    OK(ew_socket_emit_with_ack(hub, 0, socket, &event, UINT64_MAX, &further));
  }
  uint64_t none = 1;
  CHECK(ew_socket_emit_with_ack(hub, 0, socket, &event, UINT64_MAX, &none), EW_ERROR_TOO_MANY_ACKS);
  CHECK(none == 0 ? EW_OK : EW_YES, EW_OK);
  CHECK(ew_socket_emit_volatile(hub, socket, &event), EW_ERROR_NOT_IDLE);

  /* Acknowledgements fail with the socket, whose id ends with the poll behind its last output. */
  OK(ew_socket_disconnect(hub, socket));
  output = until(hub, EW_OUTPUT_SOCKET_ACK);
  CHECK(output->token == token && output->failed && output->reason.length > 0 ? EW_OK : EW_YES, EW_OK);
  until(hub, EW_OUTPUT_SOCKET_DISCONNECTED);
  OK(ew_socket_id(hub, socket, &id));
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_CLOSED);
  OK(ew_hub_poll(hub, 0, &output));
  CHECK(ew_socket_id(hub, socket, &id), EW_ERROR_CLOSED);
  OK(ew_hub_free(hub));
}

static void sockets_of_clients(void) {
  ew_hub hub, server;
  ew_socket socket, other;
  ew_slice id;
  uint64_t token;
  ew_event event = {.name = ew_text("a")};
  CHECK(ew_hub_new_socketio_client(ew_text("a:b"), NULL, SOURCE, &hub), EW_ERROR_ARGUMENT);
  OK(ew_hub_new_socketio_client(ew_text("http://a"), NULL, SOURCE, &hub));
  OK(ew_hub_new_socketio(NULL, SOURCE, &server));
  CHECK(ew_socket_open(server, 0, ew_text("/"), NONE, 0, &socket), EW_ERROR_KIND);
  CHECK(ew_socket_open(hub, 0, ew_text("/"), NONE, 0, NULL), EW_ERROR_ARGUMENT);
  CHECK(ew_socket_open(hub, 0, ew_text("/"), ew_text("{"), 0, &socket), EW_ERROR_ARGUMENT);
  OK(ew_socket_open(hub, 0, ew_text("/"), NONE, 0, &socket));
  CHECK(ew_socket_open(hub, 0, ew_text("/"), NONE, 0, &other), EW_ERROR_ARGUMENT);
  OK(ew_socket_emit(hub, socket, &event));
  CHECK(ew_socket_id(hub, socket, &id), EW_ERROR_CLOSED);
  CHECK(ew_socket_emit_volatile(hub, socket, &event), EW_ERROR_NOT_IDLE);
  CHECK(ew_socket_acknowledge(hub, socket, (ew_ack){.wanted = 1}, &event), EW_ERROR_CLOSED);
  CHECK(ew_socket_join(hub, socket, ew_text("tea")), EW_ERROR_KIND);
  CHECK(ew_socket_accept(hub, 0, socket), EW_ERROR_KIND);
  OK(ew_socket_emit_with_ack(hub, 0, socket, &event, UINT64_MAX, &token));
  OK(ew_socket_disconnect(hub, socket));
  CHECK(ew_socket_disconnect(hub, socket), EW_ERROR_CLOSED);
  /* The id has ended, the acknowledgement is told nevertheless. */
  const ew_output *output = until(hub, EW_OUTPUT_SOCKET_ACK);
  CHECK(output->token == token && output->failed && output->socket == 0 ? EW_OK : EW_YES, EW_OK);
  CHECK(ew_socket_emit(hub, socket, &event), EW_ERROR_CLOSED);
  OK(ew_hub_close(hub, 0));
  CHECK(ew_socket_open(hub, 0, ew_text("/"), NONE, 0, &socket), EW_ERROR_ARGUMENT);
  OK(ew_hub_free(hub));
  OK(ew_hub_free(server));
}

struct intruder {
  ew_hub hub;
  ew_code polled, freed, from_thread;
};

static void *intrude(void *context) {
  struct intruder *intruder = context;
  intruder->from_thread = ew_hub_timeout(intruder->hub, 0);
  return NULL;
}

static size_t use_the_hub(void *context, const uint8_t *bytes, size_t length) {
  struct intruder *intruder = context;
  const ew_output *output;
  pthread_t thread;
  intruder->polled = ew_hub_poll(intruder->hub, 0, &output);
  intruder->freed = ew_hub_free(intruder->hub);
  if (pthread_create(&thread, NULL, intrude, intruder) != 0) exit(1);
  pthread_join(thread, NULL);
  (void)bytes;
  return length;
}

static void busy(void) {
  ew_hub hub;
  ew_connection connection;
  OK(ew_hub_new_server(NULL, SOURCE, &hub));
  OK(ew_hub_accept(hub, 0, &connection));
  OK(receive(hub, connection, OPEN_POLLING, sizeof OPEN_POLLING - 1));
  struct intruder intruder = {.hub = hub};
  OK(ew_hub_transmit(hub, 0, connection, use_the_hub, &intruder));
  CHECK(intruder.polled, EW_ERROR_BUSY);
  CHECK(intruder.freed, EW_ERROR_BUSY);
  CHECK(intruder.from_thread, EW_ERROR_BUSY);
  /* One after the other, threads may. */
  pthread_t thread;
  if (pthread_create(&thread, NULL, intrude, &intruder) != 0) exit(1);
  pthread_join(thread, NULL);
  OK(intruder.from_thread);
  OK(ew_hub_free(hub));
}

static void broken(void) {
  ew_hub hub, other;
  ew_connection connection;
  const ew_output *output;
  OK(ew_hub_new_server(NULL, SOURCE, &hub));
  OK(ew_hub_new_server(NULL, SOURCE, &other));
  OK(ew_hub_accept(hub, 0, &connection));
  entropy_fails = 1;
  CHECK(receive(hub, connection, OPEN_POLLING, sizeof OPEN_POLLING - 1), EW_ERROR_BROKEN);
  ew_hub client = 1;
  ew_session session;
  CHECK(ew_hub_new_client(0, ew_text("http://a"), NULL, SOURCE, &client, &session), EW_ERROR_BROKEN);
  CHECK(client == 0 ? EW_OK : EW_YES, EW_OK);
  entropy_fails = 0;
  CHECK(ew_hub_poll(hub, 0, &output), EW_ERROR_BROKEN);
  CHECK(ew_hub_lost(hub, 0, connection), EW_ERROR_BROKEN);
  OK(ew_hub_timeout(other, 0));
  OK(ew_hub_free(hub));
  CHECK(ew_hub_free(hub), EW_ERROR_HUB);
  OK(ew_hub_free(other));
}

int main(void) {
  hubs();
  configs();
  kinds();
  connections();
  sockets();
  sockets_of_clients();
  busy();
  broken();
  if (failures == 0) puts("misuse: ok");
  return failures > 0;
}
