// As much of a browser's page as the JSONP transport of npm `engine.io-client` 3 needs: scripts that are fetched and run,
// and forms that are submitted.

import http from "node:http";

/** Puts `document` and what belongs to it where the client looks for it. */
export function openPage(agent) {
  globalThis.document = {
    body: { appendChild() {}, removeChild() {} },
    head: { appendChild: (script) => run(script, agent) },
    getElementsByTagName: () => [],
    createElement: (name) => element(name, agent),
  };
}

export function closePage() {
  delete globalThis.document;
}

function element(name, agent) {
  // The client tries how Internet Explorer would have it first.
  if (name.startsWith("<")) throw new Error("not a name");
  const children = [];
  const parent = { removeChild() {} };
  return {
    style: {},
    parentNode: parent,
    setAttribute() {},
    appendChild: (child) => children.push(child),
    removeChild: (child) => children.splice(children.indexOf(child), 1),
    submit() {
      submit(this.action, children.find((child) => child.name === "d").value, agent, () => {
        children.find((child) => child.onload)?.onload();
      });
    },
  };
}

function run(script, agent) {
  script.parentNode = { removeChild() {} };
  const request = http.get(script.src, { agent }, (answer) => {
    text(answer).then((code) => (answer.statusCode === 200 ? (0, eval)(code) : script.onerror(new Error(code))));
  });
  request.on("error", (error) => script.onerror(error));
}

/** As the HTML standard says that a form is sent. */
function submit(action, value, agent, done) {
  const body = String(new URLSearchParams({ d: value.replace(/\r?\n/g, "\r\n") }));
  const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": Buffer.byteLength(body) };
  const request = http.request(action, { method: "POST", agent, headers }, (answer) => text(answer).then(done));
  request.on("error", done);
  request.end(body);
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
