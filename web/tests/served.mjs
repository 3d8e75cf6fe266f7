// A real `hirescam view` and a real browser, for tests. HIRESCAM_PROGRAM is the program, CHROMIUM the browser; pictures of the page go to HIRESCAM_SCREENSHOTS, if
// that is named.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SHOTS = process.env.HIRESCAM_SCREENSHOTS;
export const PROGRAM = process.env.HIRESCAM_PROGRAM;
export const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const FIXTURES = join(WEB, "..", "fixtures");
export const fixture = (...parts) => join(FIXTURES, ...parts);
export const DESKTOP = { viewport: { width: 1440, height: 900 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

let browser;
/** What each test has open. */
const contexts = new Map();
export async function launch() {
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  const flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync";
  browser = await chromium.launch({ executablePath: CHROMIUM, args: flags.split(" ").map((flag) => `--${flag}`) });
}
export const close = () => browser?.close();

export function folder(t) {
  const made = mkdtempSync(join(tmpdir(), "hirescam-view-"));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A server, until the test ends or `kill` is called. */
export async function serve(t, args, port = 0) {
  const server = spawn(PROGRAM, ["view", "--no-open", "--listen", `127.0.0.1:${port}`, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  server.stderr.on("data", (text) => (said += text));
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const kill = async () => {
    server.kill("SIGKILL");
    await ended;
  };
  t.after(async () => {
    // A page that is still open would complain that its server is gone.
    await Promise.all((contexts.get(t) ?? []).map((context) => context.close()));
    await kill();
  });
  const lines = createInterface({ input: server.stdout });
  const url = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const address = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
      if (address) resolve(address);
    });
    server.once("exit", (code) => reject(new Error(`hirescam view ended with ${code}: ${said}`)));
  });
  const ask = async (path, body) => {
    const reply = await fetch(`${url}/api${path && `/${path}`}`, body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    assert.ok(reply.ok, `${path}: ${reply.status} ${reply.ok ? "" : await reply.text()}`);
    return reply.json();
  };
  return { url, port: Number(new URL(url).port), ask, kill };
}

/** What the command line says of the same. */
export function explained(...args) {
  const options = { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] };
  return execFileSync(PROGRAM, ["explain", ...args, "--json", "--overwrite"], options).trim().split("\n").map((line) => JSON.parse(line));
}

/** A page that fails the test where the browser complains, or where anything is asked of another machine. */
export async function open(t, url, options = DESKTOP) {
  const context = await browser.newContext({ reducedMotion: "reduce", colorScheme: "dark", acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints = [];
  page.expected = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.stack ?? String(error)));
  page.on("dialog", (dialog) => complaints.push(`a dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    if (!/^(http:\/\/127\.0\.0\.1[:/]|data:|blob:|file:)/.test(request.url())) complaints.push(`a request to ${request.url()}`);
  });
  contexts.set(t, [...(contexts.get(t) ?? []), context]);
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints.filter((text) => !page.expected.some((known) => known.test(text))), []);
  });
  await page.goto(url);
  return page;
}

let shots = 0;
export async function look(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${String(shots++).padStart(3, "0")} ${name}.png`) });
}

export async function accessible(page) {
  const found = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  assert.deepEqual(found.violations.map(({ id, nodes }) => [id, nodes.map((node) => `${node.html} ${node.failureSummary}`)]), []);
}

/** Nothing is wider than the window. */
export async function fits(page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= window, `${wide} in ${window}`);
}

export async function tabTo(page, selector) {
  for (let tries = 0; tries < 80; tries++) {
    if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${selector}`);
}

export async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

/** The heading once it says what the network says. */
export async function answer(page, words = /./) {
  await page.waitForFunction((source) => new RegExp(source).test(document.querySelector(".answer h1")?.textContent ?? ""), words.source);
  return (await page.locator(".answer h1").innerText()).replace(/\s+/g, " ");
}

/** What the canvas of the viewer shows, as a short text. */
export const drawn = (page) =>
  page.evaluate(() => {
    const canvas = document.querySelector(".viewer canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let hash = 0;
    for (let i = 0; i < data.length; i += 4) hash = (hash * 31 + data[i] + 7 * data[i + 1] + 13 * data[i + 2]) | 0;
    return String(hash);
  });

/** Where a point of the photo, as shares of its sides, lies on the page, when all of the photo is seen. */
export async function onPage(page, { width, height }, x, y) {
  const box = await page.locator(".surface").boundingBox();
  const scale = Math.min(box.width / width, box.height / height);
  return { x: box.x + (box.width - width * scale) / 2 + x * width * scale, y: box.y + (box.height - height * scale) / 2 + y * height * scale };
}

/** A number as the page writes it. */
export const numberIn = (text) => Number(text.replaceAll("−", "-"));
export const close_to = (a, b, relative = 6e-3) => Math.abs(a - b) <= relative * Math.max(Math.abs(a), Math.abs(b), 1e-9);
