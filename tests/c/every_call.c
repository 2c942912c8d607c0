/* Each function of the C ABI with each kind of id, in each kind of hub: a code, whichever it is. */

#include "harness.h"

static void sane(int line, ew_code code) {
  if (code < EW_ERROR_NOT_IDLE || code > EW_YES || code == EW_ERROR_BROKEN || code == EW_ERROR_BUSY) {
    fprintf(stderr, "line %d: %d: %s\n", line, code, ew_last_error());
    failures++;
  }
}

#define SANE(call) sane(__LINE__, call)

/* Calls each function that has an id. */
static void call_all(ew_hub hub, uint64_t id) {
  uint8_t bytes[] = "GET / HTTP/1.1\r\n\r\n";
  uint64_t number;
  ew_slice slice, text = ew_text("a");
  ew_event event = {.name = text, .json = ew_text("[1]")};
  ew_target target = {.name_space = ew_text("/"), .rooms = &text, .room_count = 1, .except = &text, .except_count = 1};
  ew_delivered delivered;
  const ew_output *output;
  ew_socket socket;
  SANE(ew_hub_connected(hub, 0, id));
  SANE(ew_hub_receive(hub, 0, id, bytes, sizeof bytes - 1));
  SANE(ew_hub_transmit(hub, 0, id, take_all, NULL));
  SANE(ew_hub_is_reading(hub, id));
  SANE(ew_hub_writable(hub, 0, id));
  SANE(ew_hub_eof(hub, 0, id));
  SANE(ew_hub_refused(hub, 0, id));
  SANE(ew_hub_lost(hub, 0, id));
  SANE(ew_request_allow(hub, id));
  SANE(ew_request_refuse(hub, id, 400, text));
  SANE(ew_request_respond(hub, id, 200, text, text));
  SANE(ew_request_header(hub, text, &slice));
  SANE(ew_session_send(hub, id, text, 0));
  SANE(ew_session_broadcast(hub, &id, 1, text, 1, &delivered));
  SANE(ew_session_pause(hub, id));
  SANE(ew_session_resume(hub, id));
  SANE(ew_session_close(hub, 0, id));
  SANE(ew_session_abort(hub, id));
  SANE(ew_socket_open(hub, 0, text, NONE, 1, &socket));
  SANE(ew_socket_authorize(hub, 0, id, ew_text("{}")));
  SANE(ew_socket_refuse(hub, 0, id, text, NONE));
  SANE(ew_socket_accept(hub, 0, id));
  SANE(ew_socket_emit(hub, id, &event));
  SANE(ew_socket_emit_volatile(hub, id, &event));
  SANE(ew_socket_emit_with_ack(hub, 0, id, &event, 1, &number));
  SANE(ew_socket_acknowledge(hub, id, (ew_ack){id, id, 1, 1}, &event));
  SANE(ew_socket_id(hub, id, &slice));
  SANE(ew_socket_join(hub, id, text));
  SANE(ew_socket_leave(hub, id, text));
  SANE(ew_socket_pause(hub, id));
  SANE(ew_socket_resume(hub, id));
  SANE(ew_socket_disconnect(hub, id));
  SANE(ew_socket_disconnect_client(hub, 0, id));
  SANE(ew_namespace_emit(hub, &target, &event, 1, &delivered));
  SANE(ew_namespace_emit_with_ack(hub, 0, &target, &event, id, &number));
  SANE(ew_hub_set_wall_clock(hub, 0, id));
  SANE(ew_hub_is_finished(hub));
  do SANE(ew_hub_poll(hub, 0, &output));
  while (output);
}

/* Each function with each id, of each hub, in each kind of hub: also the id of another hub. */
static void everything(void) {
  ew_hub hubs[4];
  uint64_t ids[32] = {0, 1, UINT64_MAX, 1ull << 60, 2ull << 60, 3ull << 60, 4ull << 60, 0x2000000010000000};
  size_t count = 8;
  for (int kind = 0; kind < 4; kind++) {
    ew_hub hub;
    ew_connection connection;
    if (kind == 3) {
      OK(ew_hub_new_socketio_client(ew_text("http://a"), NULL, SOURCE, &hub));
      OK(ew_socket_open(hub, 0, ew_text("/"), ew_text("{\"token\":1}"), 0, &ids[count++]));
      ids[count++] = until(hub, EW_OUTPUT_OPEN)->connection;
    } else if (kind == 2) {
      OK(ew_hub_new_client(0, ew_text("http://a"), NULL, SOURCE, &hub, &ids[count++]));
      ids[count++] = until(hub, EW_OUTPUT_OPEN)->connection;
    } else {
      OK(kind ? ew_hub_new_socketio(NULL, SOURCE, &hub) : ew_hub_new_server(NULL, SOURCE, &hub));
      OK(ew_hub_accept(hub, 0, &connection));
      ids[count++] = connection;
      if (kind == 0) {
        OK(receive(hub, connection, OPEN_POLLING, sizeof OPEN_POLLING - 1));
        ids[count++] = until(hub, EW_OUTPUT_SESSION_OPENED)->session;
      } else {
        OK(receive(hub, connection, OPEN_SOCKETIO, sizeof OPEN_SOCKETIO - 1));
        ids[count] = until(hub, EW_OUTPUT_SOCKET_CONNECT)->socket;
        OK(ew_socket_accept(hub, 0, ids[count++]));
      }
    }
    ids[count++] = hubs[kind] = hub;
  }
  for (int kind = 0; kind < 4; kind++) {
    /* From the last one: connections come before what is on them, and end it. */
    for (size_t i = count; i-- > 0;) call_all(hubs[kind], ids[i]);
    for (size_t i = 0; i < count; i++) call_all(hubs[kind], ids[i]);
    OK(ew_hub_abort(hubs[kind], 0));
    call_all(hubs[kind], ids[count - 1]);
    OK(ew_hub_free(hubs[kind]));
  }
}

int main(void) {
  everything();
  if (failures == 0) puts("every call: ok");
  return failures > 0;
}
