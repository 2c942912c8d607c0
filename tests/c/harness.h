/* Hubs in memory, and checks of codes. */

#ifndef HARNESS_H
#define HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enginewire.h"

static int failures;

static inline void check(int line, const char *what, ew_code code, ew_code expected) {
  if (code != expected) {
    fprintf(stderr, "line %d: %s is %d and not %d: %s\n", line, what, code, expected, ew_last_error());
    failures++;
  } else if (code < 0 && ew_last_error()[0] == 0) {
    fprintf(stderr, "line %d: %s has no text\n", line, what);
    failures++;
  }
}

#define CHECK(call, code) check(__LINE__, #call, call, code)
#define OK(call) CHECK(call, EW_OK)

static int entropy_fails;

static inline int32_t entropy(void *context, uint8_t *bytes, size_t length) {
  (void)context;
  memset(bytes, 7, length);
  return entropy_fails;
}

static const ew_entropy SOURCE = {.fill = entropy};
static const ew_slice NONE = {NULL, 0};
static const char OPEN_POLLING[] = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";
#define WEBSOCKET(path)                                                                        \
  "GET /" path "/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"     \
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                        \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
/* Behind the handshake: `40`, masked with zeros. */
static const char OPEN_SOCKETIO[] = WEBSOCKET("socket.io") "\x81\x82\0\0\0\0" "40";
static inline ew_code receive(ew_hub hub, ew_connection connection, const char *bytes, size_t length) {
  /* A block of its own, so that a sanitizer sees what lies beyond. */
  uint8_t *copy = malloc(length);
  memcpy(copy, bytes, length);
  ew_code code = ew_hub_receive(hub, 0, connection, copy, length);
  free(copy);
  return code;
}

static inline size_t take_all(void *context, const uint8_t *bytes, size_t length) {
  (void)context, (void)bytes;
  return length;
}

/* Polls until an output of this kind. */
static inline const ew_output *until(ew_hub hub, ew_output_kind kind) {
  const ew_output *output;
  for (;;) {
    OK(ew_hub_poll(hub, 0, &output));
    if (!output) {
      fprintf(stderr, "no output of kind %u\n", kind);
      exit(1);
    }
    if (output->kind == kind) return output;
    if (output->kind == EW_OUTPUT_WRITE) OK(ew_hub_transmit(hub, 0, output->connection, take_all, NULL));
  }
}

#endif
