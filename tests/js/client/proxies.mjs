// The client behind an HTTP proxy, npm `proxy-chain`, which environment variables name.

import assert from "node:assert/strict";
import { Server } from "proxy-chain";
import { within } from "../waiting.mjs";
import { engine } from "./engine.mjs";
import { scenario } from "./harness.mjs";

const MODES = ["polling", "websocket", "upgrade"];

/** The reference leaves proxies to an agent of the application. */
const differs = "it knows no proxies";

/** A proxy on a port of its own, which asks for credentials. Gives `{ url(userInfo), requests }`. */
async function proxyServer(run) {
  const requests = [];
  const server = new Server({
    port: 0,
    host: "127.0.0.1",
    prepareRequestFunction: ({ request, username, password }) => {
      requests.push(`${request.method} ${request.url}`);
      return { requestAuthentication: username !== "user" || password !== "p@ss" };
    },
  });
  await server.listen();
  run.after(() => server.close(true));
  return { url: (userInfo) => `http://${userInfo}127.0.0.1:${server.port}`, requests };
}

export default function () {
  for (const mode of MODES) {
    const name = `eio-${mode}-proxy`;
    scenario(name, "the session goes by the proxy, and the server gets no credentials for it", { differs }, async (run) => {
      const [server, proxy] = [await engine(run), await proxyServer(run)];
      const client = run.client(server.url, { HTTP_PROXY: proxy.url("user:p%40ss@") });
      const session = await server.accept();
      await client.event("open");
      if (mode === "upgrade") await within(session.upgraded, "the upgrade");
      const texts = Array.from({ length: 50 }, (_, i) => `${i} ${"x".repeat(i * 100)}`);
      session.send(...texts);
      await client.printed(texts);
      await session.echo("hello");
      session.send("!close");
      await client.ends("forced close");
      for (const request of server.requests.all) assert.equal(request.headers["proxy-authorization"], undefined);
      const { host } = new URL(server.url);
      const tunnel = `CONNECT ${host}`;
      assert.equal(proxy.requests.includes(tunnel), mode !== "polling", proxy.requests);
      const others = proxy.requests.filter((request) => request !== tunnel);
      assert.equal(others.length > 0, mode !== "websocket");
      for (const request of others) assert.match(request, new RegExp(`^(GET|POST) http://${host}/engine\\.io/\\?`));
    });

    scenario(name, "wrong credentials are refused, and the proxy is named", { differs }, async (run) => {
      const [server, proxy] = [await engine(run), await proxyServer(run)];
      const environment = { http_proxy: proxy.url("user:wrong@") };
      const message = await run.client(server.url, environment).fails();
      assert.match(message, /the proxy does not take the credentials/);
      assert.equal(server.requests.all.length, 0);
    });

    scenario(name, "a server that the proxy does not reach is told from the proxy", { differs }, async (run) => {
      const [server, proxy] = [await engine(run), await proxyServer(run)];
      await server.crash();
      const message = await run.client(server.url, { all_proxy: proxy.url("user:p%40ss@") }).fails();
      // Where it was asked for a tunnel, this proxy closes without a response.
      assert.match(message, mode === "websocket" ? /the proxy has closed the connection/ : /status 5\d\d/);
    });

    scenario(name, "an exception is connected to without the proxy", {}, async (run) => {
      const [server, proxy] = [await engine(run), await proxyServer(run)];
      const client = run.client(server.url, { http_proxy: proxy.url(""), no_proxy: "example.org,127.0.0.1" });
      await client.event("open");
      await (await server.accept()).echo("hello");
      assert.deepEqual(proxy.requests, []);
    });
  }
}
