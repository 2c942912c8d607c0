// Opens the page of the chat example twice in Chromium and lets the two talk.
//
//   node chat.mjs URL
//
// SCREENSHOT=FILE.png keeps a picture of a page.

import { DEADLINE, shows, withBrowser } from "./chromium.mjs";

const url = process.argv[2];
if (!url) {
  console.error("usage: node chat.mjs URL");
  process.exit(2);
}

async function say(page, text) {
  await page.fill("#input", text);
  await page.click("#send");
}

/** Has Bert type until Anna has seen it, which is shown for half a second behind the last key only. */
async function seenTyping(anna, bert) {
  let isSeen = false;
  const typist = (async () => {
    while (!isSeen) await bert.locator("#input").pressSequentially("ü");
  })();
  try {
    await shows(anna, "#typing", /^Bert is typing$/);
  } finally {
    isSeen = true;
    await typist;
  }
}

try {
  await withBrowser(async ([anna, bert]) => {
    const complaints = [];
    for (const page of [anna, bert]) {
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(error.message));
      await page.goto(url, { timeout: DEADLINE });
      await shows(page, "#status", /^connected$/);
    }
    await say(anna, "Anna");
    await shows(anna, "#messages", /1 person is here/);
    await say(bert, "Bert");
    await shows(bert, "#messages", /2 people are here/);
    await shows(anna, "#messages", /Bert has joined, 2 people are here/);
    await seenTyping(anna, bert);
    await say(bert, "Grüße 👋 <b>");
    await shows(anna, "#messages", /Bert\s*Grüße 👋 <b>$/);
    await shows(anna, "#typing", /^$/);
    await say(anna, "hello");
    await shows(bert, "#messages", /Anna\s*hello$/);
    if (process.env.SCREENSHOT) await anna.screenshot({ path: process.env.SCREENSHOT });
    await bert.close();
    await shows(anna, "#messages", /Bert has left, 1 person is here$/);
    if (complaints.length > 0) throw new Error(`a page complained:\n  ${complaints.join("\n  ")}`);
  }, 2);
  console.log("chat: ok");
} catch (error) {
  console.error(`chat: ${error.message}`);
  process.exitCode = 1;
}
