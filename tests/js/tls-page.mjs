// A page in headless Chromium that talks to a server with TLS: `node tls-page.mjs URL PIN`. The page at the URL loads the
// official client and shows what the server echoes. PIN is the hash of the key whose certificate is trusted, in base64.

import { shows, withBrowser } from "./chromium.mjs";

const [url, pin] = process.argv.slice(2);
await withBrowser(
  async ([page]) => {
    await page.goto(url);
    await shows(page, "#transport", /^websocket$/);
    await shows(page, "#echo", /^hello$/);
  },
  1,
  [`--ignore-certificate-errors-spki-list=${pin}`],
);
