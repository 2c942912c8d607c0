// A headless Chromium for the tests of pages.
//
// CHROMIUM names the browser (default: /usr/bin/chromium).

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

/** Generous: it only decides how long a broken page takes to fail. */
export const DEADLINE = 15_000;

/** Waits until an element shows a text. */
export async function shows(page, selector, pattern) {
  const element = page.locator(selector);
  const matches = ([css, source, flags]) => new RegExp(source, flags).test(document.querySelector(css)?.textContent.trim());
  try {
    await page.waitForFunction(matches, [selector, pattern.source, pattern.flags], { timeout: DEADLINE });
  } catch {
    const text = await element.textContent({ timeout: 1000 }).catch(() => "no such element");
    throw new Error(`${selector} does not show ${pattern} within ${DEADLINE} ms, but ${JSON.stringify(text)}`);
  }
}

/** Calls `body` with so many pages of a browser of its own, which is started with these switches as well. */
export async function withBrowser(body, pages = 1, switches = []) {
  const profile = await mkdtemp(path.join(tmpdir(), "enginewire-browser-"));
  try {
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      colorScheme: process.env.COLOR_SCHEME ?? "light",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        ...switches,
      ],
    });
    try {
      while (browser.pages().length < pages) await browser.newPage();
      await body(browser.pages());
    } finally {
      await browser.close();
    }
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}
