// Has Chromium compress, as it does by itself with a server that agrees, and echoes what compresses and what does not.
//
//   node browser-compression.mjs PORT     a server of `tests/src/bin` with the profile `deflate` or `deflate-takeover`
//
// CHROMIUM names the browser (default: /usr/bin/chromium).

import { DEADLINE, withBrowser } from "./chromium.mjs";

const port = Number(process.argv[2]);
if (!port) {
  console.error("usage: node browser-compression.mjs PORT");
  process.exit(2);
}

try {
  await withBrowser(async ([page]) => {
    await page.goto(`http://127.0.0.1:${port}/engine.io/`, { timeout: DEADLINE });
    const fault = await page.evaluate(inPage, [`ws://127.0.0.1:${port}/engine.io/?EIO=4&transport=websocket`, DEADLINE]);
    if (fault) throw new Error(fault);
  });
  console.log("browser-compression: ok");
} catch (error) {
  console.error(`browser-compression: ${error.message}`);
  process.exitCode = 1;
}

/** Runs in the page. Gives what is wrong, if anything is. */
function inPage([url, deadline]) {
  const messages = ["a", "", "chat message ".repeat(300), "é€😀".repeat(20_000), "chat message ".repeat(301), "x".repeat(900_000)];
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const echoes = [];
    setTimeout(() => resolve(`only ${echoes.length} echoes in time`), deadline);
    socket.onclose = ({ code }) => resolve(`closed with ${code} after ${echoes.length} echoes`);
    socket.onmessage = ({ data }) => {
      if (data[0] === "0") {
        if (!socket.extensions.startsWith("permessage-deflate")) return resolve(`extensions: "${socket.extensions}"`);
        for (const message of messages) socket.send(`4${message}`);
      } else if (data === "2") {
        socket.send("3");
      } else {
        echoes.push(data.slice(1));
        if (echoes.length < messages.length) return;
        resolve(echoes.every((echo, i) => echo === messages[i]) ? undefined : "an echo is another message");
      }
    };
  });
}
