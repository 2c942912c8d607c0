// Cuts what was recorded into what the targets read; see the first lines of their modules in `tests/properties/src`.

const LARGE_LIMITS = 1 << 2;
const READS = Buffer.from([64, 0, 1, 200]);
const TURN = 0x1e;

/** Beyond that the client uses one again. */
const MOST_LINKS = 5;

/** Pairs of target and seed, of one session of `revision`. */
export function* seeds({ revision, events, options }) {
  const connections = groupBy(events, (event) => event.connection);
  const polling = [...connections.values()].filter((one) => !one.some(({ upgrade }) => upgrade));
  const websockets = [...connections.values()].filter((one) => one.some(({ upgrade }) => upgrade));
  // The one that was used most, and the WebSocket.
  const most = polling.sort((a, b) => b.length - a.length).slice(0, 1);
  for (const one of [...most, ...websockets]) {
    yield ["http", http(one)];
    yield ["http_client", httpClient(one)];
  }
  for (const one of websockets) {
    for (const side of ["client", "server"]) yield ["websocket", websocket(one, side)];
    // Ids are known to the server that made them only.
    if (!one.some(({ target }) => target?.includes("sid="))) yield ["hub", rawHub(one, revision)];
  }
  yield* payloads(events, revision);
  yield* packets(events, revision);
  yield* queries(events);
  if (revision === 4) yield ["hub", hub(events)];
  if (!options.forceJSONP) yield ["client_hub", clientHub(events, revision, options)];
}

/** Everything in one direction of a connection. */
function http(events) {
  const requests = events.filter(({ kind }) => kind === "request");
  const answers = requests.map(({ method, upgrade }) => (upgrade ? "3" : method === "POST" ? "0" : "1"));
  return Buffer.concat([Buffer.from([LARGE_LIMITS]), READS, four(answers), ...sent(events, "client")]);
}

function httpClient(events) {
  const requests = events.filter(({ kind }) => kind === "request");
  const kinds = requests.map(({ method, upgrade }) => (upgrade ? "u" : method === "POST" ? "p" : "g"));
  const turns = [];
  for (const { kind, side, raw } of events) {
    if (kind === "request" && turns.length > 0) turns.push(Buffer.from([TURN]));
    // It separates packets too, and would be taken for the end of a turn.
    if (side === "server" && (kind === "frame" || !raw.includes(TURN))) turns.push(raw);
  }
  return Buffer.concat([Buffer.from([LARGE_LIMITS]), READS, four(kinds), ...turns]);
}

/** For the first four exchanges, and again for the next. */
function four(letters) {
  return Buffer.from(Array.from({ length: 4 }, (_, i) => letters[i % letters.length]).join(""));
}

function sent(events, side) {
  return events.filter((event) => event.side === side).map(({ raw }) => raw);
}

function websocket(events, side) {
  const frames = events.filter((event) => event.side === side && event.kind === "frame");
  const [we, largest, never] = [side === "server" ? 1 : 0, 2 << 1, 255];
  return Buffer.concat([Buffer.from("r"), Buffer.from([we | largest, never]), READS, ...frames.map(({ raw }) => raw)]);
}

/** Bodies, or if it is JSONP forms and what is in calls. */
function* payloads(events, revision) {
  for (const { kind, side, type, body, method, target } of events) {
    const polls = side === "server" ? kind === "answer" && body.length > 0 && String(body) !== "ok" : method === "POST";
    if (!polls) continue;
    const call = /^___eio\[(\d+)\]\((.*)\);$/s.exec(String(body));
    if (call) yield ["jsonp", Buffer.from(`\0${call[1]}\n${JSON.parse(call[2])}`)];
    else if (target?.includes("j=")) yield ["jsonp", Buffer.concat([Buffer.from("\x000\n"), body])];
    else yield ["payloads", Buffer.concat([Buffer.from(`${form(revision, body, type)}-\0\x40`), body])];
  }
}

function form(revision, body, type) {
  if (revision === 4) return "4";
  return type === "application/octet-stream" || body[0] < 2 ? "b" : "t";
}

function* packets(events, revision) {
  for (const { kind, first, payload } of events) {
    if (kind === "frame" && [0x81, 0x82].includes(first)) yield ["packets", Buffer.concat([Buffer.from(String(revision)), payload])];
  }
}

/** The handshake, and one request of each transport. */
function* queries(events) {
  const seen = new Set();
  for (const { kind, target } of events) {
    if (kind !== "request") continue;
    const query = target.slice(target.indexOf("?") + 1);
    const parameters = new URLSearchParams(query);
    const sort = `${parameters.has("sid")} ${parameters.get("transport")}`;
    if (!seen.has(sort)) yield ["query", Buffer.from(query)];
    seen.add(sort);
  }
}

/** A session, told in the letters of the target, as its ids are not those of the recording. */
function hub(events) {
  const script = new Script().put(":");
  const accepted = new Map();
  for (const event of events) {
    if (event.side === "server") {
      texts(event).forEach((text) => script.line("m0", text).put("d"));
      continue;
    }
    if (!accepted.has(event.connection)) {
      script.put("a");
      accepted.set(event.connection, number(accepted.size));
    }
    const on = accepted.get(event.connection);
    if (event.kind === "frame") script.frame(on, event);
    else if (event.method === "POST") script.line(`p${on}0`, event.body);
    else if (event.target.includes("sid=")) script.put(event.upgrade ? `u${on}0` : `g${on}0`);
    else script.put(event.upgrade ? `O${on}` : `o${on}`);
    script.put("d");
  }
  return script.seed();
}

/** What a client sent on a WebSocket, as it is, unless it has bytes that the target reads otherwise. */
function rawHub(events, revision) {
  const script = new Script().put(revision === 3 ? "3:a" : ":a");
  for (const event of events) {
    if (event.side === "server") {
      texts(event).forEach((text) => script.line("m0", text).put("d"));
      continue;
    }
    const lines = event.raw.toString("latin1");
    if (event.kind === "frame" && /[\n|]/.test(lines)) script.frame("0", event);
    else script.line("b0", Buffer.from(lines.replaceAll("\r\n", "|"), "latin1"));
    script.put("d");
  }
  return script.seed();
}

/** What the server sent, as it is, on connections in the order in which the client asks for them. */
function clientHub(events, revision, { transports, forceBase64 }) {
  const letters = `${revision === 3 ? "3" : ""}${forceBase64 ? "b" : ""}`;
  const only = transports.length === 1 ? (transports[0] === "websocket" ? "w" : "p") : "";
  const script = new Script().put(`${letters}${only}:`).put(READS).put(only === "w" ? "c0u0" : "c0");
  // The first is for the handshake, the next for the WebSocket that is tried, then there is one for each request.
  const websocket = only === "w" ? "0" : "1";
  let [links, get, posted] = [0, 0, false];
  const connect = () => {
    links += 1;
    script.put(`c${number(links)}`);
    return links;
  };
  for (const event of events) {
    const { side, kind, raw, status, body, method } = event;
    if (kind === "frame") {
      if (side === "server") script.bytes(websocket, raw);
      if (String(event.payload) === "3probe") {
        // Whether there was still a GET then is a matter of luck: here there is one, and no more.
        script.line(`a${number(get)}`, revision === 3 ? "1:6" : "6");
        links = MOST_LINKS;
      }
      if (side === "client") texts(event).forEach((text) => script.line("m", text));
    } else if (status === 101) {
      script.put(only === "w" ? "" : "u1");
    } else if (side === "server" && String(body) !== "ok" && links < MOST_LINKS) {
      script.bytes(number(get), raw);
      if (get === 0 && only === "") connect();
      get = connect();
    } else if (method === "POST" && !posted && texts(event).length > 0) {
      posted = true;
      script.line("m", texts(event)[0]).line(`a${number(connect())}`, "ok");
    }
  }
  return script.seed();
}

/** The texts that a side says, of one line each. */
function texts({ kind, first, payload, body, method }) {
  let packets = [];
  if (kind === "frame" && first === 0x81) packets = [String(payload)];
  if (kind === "answer" || method === "POST") packets = String(body).replace(/^\d+:/, "").split("\x1e");
  return packets.filter((packet) => /^4.*$/.test(packet)).map((packet) => packet.slice(1));
}

/** A map from keys to what has them, in order. */
export function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

function number(n) {
  return String.fromCharCode(48 + n);
}

class Script {
  parts = [];

  put(letters) {
    this.parts.push(Buffer.from(letters));
    return this;
  }

  line(letters, bytes) {
    return this.put(letters).put(bytes).put("\n");
  }

  frame(on, { first, payload }) {
    if (payload.includes("\n")) return this;
    return (first === 0x81 ? this.put(`t${on}`) : this.put(`f${on}`).put([first])).line("", payload);
  }

  bytes(on, bytes) {
    for (let at = 0; at < bytes.length; at += 255) {
      const part = bytes.subarray(at, at + 255);
      // All of it comes at once.
      if (at + 255 < bytes.length) this.put("&");
      this.put(`d${on}`).put([part.length]).put(part);
    }
    return this;
  }

  seed() {
    return Buffer.concat(this.parts);
  }
}
