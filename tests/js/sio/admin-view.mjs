// The page of npm `@socket.io/admin-ui` in Chromium: its form, its views, and what stands in them.

import { DEADLINE } from "../chromium.mjs";

/** Prepares a page that may only load what comes from these URLs. Gives the errors that it will have. */
export async function prepare(page, ...urls) {
  page.setDefaultTimeout(DEADLINE);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  const origins = urls.map((url) => new URL(url).origin);
  // Its fonts and icons come from elsewhere.
  await page.route((target) => !origins.includes(target.origin), (route) => route.abort());
  return complaints;
}

/** Logs in at a server, with passwords of which the last is right. */
export async function logIn(page, server, ...passwords) {
  await page.getByLabel("Server URL").fill(server);
  await page.getByLabel("Username").fill("admin");
  for (const [i, password] of passwords.entries()) {
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Connect" }).click();
    const isLast = i === passwords.length - 1;
    await page.getByText("Invalid credentials").waitFor({ state: isLast ? "hidden" : "visible" });
  }
  await page.getByLabel("Password").waitFor({ state: "hidden" });
}

/** Opens a view of the page, which is loaded already. */
export function view(page, name) {
  return page.evaluate((name) => (location.hash = name), `#/${name}`);
}

/** The first row of a table with these texts. While one view gives way to another, both are there. */
export function row(page, ...texts) {
  return texts.reduce((rows, hasText) => rows.filter({ hasText }), page.locator("main tr")).first();
}

/** Has the socket whose view is open join a room. */
export async function joinRoom(page, room) {
  await page.getByLabel("Join a room").fill(room);
  await page.locator("main form button[type=submit]").click();
  await row(page, room).waitFor();
}
