// Whole studies in a real browser: by keyboard alone, on a phone, without scripts; each page checked by axe-core.
//
// HIRESCAM_SAMPLE is the program `sample` (cargo build -p hirescam-server --example sample), CHROMIUM the browser; pictures of the pages go to
// HIRESCAM_SCREENSHOTS, if that is named.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

const SAMPLE = process.env.HIRESCAM_SAMPLE;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SHOTS = process.env.HIRESCAM_SCREENSHOTS;
const KINDS = ["prefer", "rate", "trust", "point", "box", "brush", "reveal", "typed"];
// What needs scripts by its nature.
const WITHOUT_SCRIPTS = ["prefer", "rate", "trust", "point", "box"];
const TRIALS = 6;
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

let browser;
before(async () => {
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ..."headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync".split(" ").map((flag) => `--${flag}`),
      // In the tests of frames a page of another site loads from this machine.
      "--disable-features=LocalNetworkAccessChecks",
    ],
  });
});
after(() => browser?.close());

// A study of a kind, served until the test ends.
async function serve(t, kind, ...options) {
  const folder = mkdtempSync(join(tmpdir(), "hirescam-study-"));
  const server = spawn(SAMPLE, [kind, join(folder, "study"), ...options], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const [line] = await Promise.race([
    createInterface({ input: server.stdout })[Symbol.asyncIterator]().next().then(({ value }) => [value]),
    new Promise((_, reject) => server.once("exit", (code) => reject(new Error(`sample ended: ${code}`)))),
  ]);
  const { url, token } = JSON.parse(line);
  const answers = async () => {
    const reply = await fetch(`${url}/owner/export/answers.json`, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(reply.status, 200);
    return reply.json();
  };
  return { url, token, answers };
}

// A page that fails the test where the browser complains.
async function open(t, options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.complaints = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  return page;
}

let shots = 0;
async function look(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${String(shots++).padStart(3, "0")} ${name}.png`), fullPage: true });
}

async function accessible(page) {
  const found = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  assert.deepEqual(found.violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), []);
}

// Nothing is wider than the window.
async function fits(page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= window, `${wide} in ${window}`);
}

async function tabTo(page, selector) {
  for (let tries = 0; tries < 40; tries++) {
    if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${selector}`);
}

const ready = (page) => page.waitForFunction(() => !document.querySelector("#trial button:not(#more)").disabled);

async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

// Answers of each kind, by keyboard alone.
const BY_KEYBOARD = {
  prefer: (page) => press(page, "2", "Enter"),
  rate: (page) => press(page, "5", "Enter"),
  trust: (page) => press(page, "1", "Enter"),
  point: async (page) => {
    await tabTo(page, "canvas");
    await press(page, "ArrowLeft", "ArrowLeft", "Shift+ArrowUp", "Enter");
    await tabTo(page, "#next");
    await press(page, "Enter");
  },
  box: async (page) => {
    await tabTo(page, "canvas");
    await press(page, "Shift+ArrowLeft", "Shift+ArrowUp", "Enter", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "ArrowDown", "Enter");
    await tabTo(page, "#next");
    await press(page, "Enter");
  },
  brush: async (page) => {
    await tabTo(page, "canvas");
    await press(page, "Space", "Shift+ArrowRight", "ArrowDown", "Space", "Shift+ArrowLeft", "Space", "Shift+ArrowUp", "Space");
    await tabTo(page, "#next");
    await press(page, "Enter");
  },
  reveal: async (page) => {
    await tabTo(page, "#more");
    await press(page, "Space", "Space");
    await tabTo(page, "input[type=radio]");
    await press(page, "Space", "ArrowDown", "ArrowUp", "Enter");
  },
  typed: async (page) => {
    await tabTo(page, "#more");
    await press(page, "Space");
    await tabTo(page, "input[name=class]");
    await page.keyboard.type("a cat");
    await press(page, "Enter");
  },
};

const GIVEN_BY_KEYBOARD = {
  prefer: { kind: "prefer", choice: "second" },
  rate: { kind: "rate", points: 5 },
  trust: { kind: "trust", leaning: -2 },
  point: { kind: "locate", mark: { with: "point", x: 0.48, y: 0.4 } },
  box: { kind: "locate", mark: { with: "box", left: 0.4, top: 0.4, right: 0.6, bottom: 0.51 } },
  brush: { kind: "locate", mark: { with: "brush", radius: 0.03, strokes: [[[0.5, 0.5], [0.6, 0.5], [0.6, 0.51]], [[0.5, 0.51], [0.5, 0.41]]] } },
  reveal: { kind: "reveal", class: "cat", steps: 3 },
  typed: { kind: "reveal", class: "a cat", steps: 2 },
};

function near(given, wanted) {
  const flat = (value) => (typeof value === "object" ? Object.entries(value).flatMap(([key, inner]) => flat(inner).map(([path, leaf]) => [`${key}.${path}`, leaf])) : [["", value]]);
  const [a, b] = [flat(given), flat(wanted)];
  assert.deepEqual(a.map(([path]) => path).sort(), b.map(([path]) => path).sort(), JSON.stringify(given));
  const of = new Map(a);
  for (const [path, leaf] of b) {
    if (typeof leaf === "number") assert.ok(Math.abs(of.get(path) - leaf) < 0.02, `${path}: ${JSON.stringify(given)}`);
    else assert.equal(of.get(path), leaf);
  }
}

for (const kind of KINDS) {
  test(`${kind} is answered by keyboard alone`, async (t) => {
    const study = await serve(t, kind);
    const page = await open(t, DESKTOP);
    await page.goto(study.url);
    await accessible(page);
    await look(page, `${kind} consent`);
    await tabTo(page, "input[name=agree]");
    await press(page, "Space");
    await tabTo(page, "button");
    await press(page, "Enter");
    await page.waitForURL("**/instructions");
    await accessible(page);
    await look(page, `${kind} instructions`);
    await tabTo(page, "a[href='/trial']");
    await press(page, "Enter");
    for (let trial = 0; trial < TRIALS; trial++) {
      await page.waitForURL("**/trial");
      await ready(page);
      if (trial < 2) {
        await accessible(page);
        await fits(page);
        await look(page, `${kind} trial ${trial}`);
      }
      const before = await page.locator("input[name=page]").inputValue();
      await BY_KEYBOARD[kind](page);
      await page.waitForFunction((before) => document.querySelector("input[name=page]")?.value !== before, before);
    }
    await page.waitForURL("**/finish");
    await accessible(page);
    await look(page, `${kind} end`);
    assert.match(await page.textContent("main"), /CODE-1/);
    const { answers, raters } = await study.answers();
    assert.equal(answers.length, TRIALS);
    for (const answer of answers) {
      near(answer.given, GIVEN_BY_KEYBOARD[kind]);
      assert.deepEqual(answer.window, [1280, 800]);
      assert.ok(answer.ms > 0 && answer.ms < 30_000, String(answer.ms));
    }
    assert.ok(raters[0].finished);
    assert.deepEqual(page.complaints, []);
  });
}

// Answers of each kind, by touch.
const BY_TOUCH = {
  prefer: (page) => page.getByText("Picture 2", { exact: true }).last().tap(),
  rate: (page) => page.getByText("5 – very well").tap(),
  trust: (page) => page.getByText("Clearly program 1").tap(),
  point: (page) => at(page, async (x, y) => page.touchscreen.tap(x(0.25), y(0.5))),
  box: (page) => drag(page, [[0.25, 0.25], [0.5, 0.5], [0.75, 0.5]]),
  brush: (page) => drag(page, [[0.25, 0.25], [0.5, 0.5], [0.75, 0.5]]),
  reveal: async (page) => {
    await page.getByText("Show more").tap();
    await page.getByText("cat", { exact: true }).tap();
  },
  typed: async (page) => {
    await page.getByText("Show more").tap();
    await page.locator("input[name=class]").fill("a cat");
  },
};

async function at(page, work) {
  const { x, y, width, height } = await page.locator("canvas").boundingBox();
  await work((share) => x + share * width, (share) => y + share * height);
}

// One finger that goes from place to place.
const drag = (page, places) => at(page, async (x, y) => {
  const touch = await page.context().newCDPSession(page);
  const send = (type, place) => touch.send("Input.dispatchTouchEvent", { type, touchPoints: place ? [{ x: x(place[0]), y: y(place[1]) }] : [] });
  await send("touchStart", places[0]);
  for (const place of places.slice(1)) await send("touchMove", place);
  await send("touchEnd");
});

const GIVEN_BY_TOUCH = {
  ...GIVEN_BY_KEYBOARD,
  point: { kind: "locate", mark: { with: "point", x: 0.25, y: 0.5 } },
  box: { kind: "locate", mark: { with: "box", left: 0.25, top: 0.25, right: 0.75, bottom: 0.5 } },
  brush: { kind: "locate", mark: { with: "brush", radius: 0.03, strokes: [[[0.25, 0.25], [0.5, 0.5], [0.75, 0.5]]] } },
  reveal: { kind: "reveal", class: "cat", steps: 2 },
};

for (const kind of KINDS) {
  test(`${kind} is answered on a phone`, async (t) => {
    const study = await serve(t, kind);
    const page = await open(t, PHONE);
    await page.goto(study.url);
    await fits(page);
    await page.locator("input[name=agree]").tap();
    await page.getByText("Begin", { exact: true }).tap();
    await page.waitForURL("**/instructions");
    await fits(page);
    await page.getByText("Start", { exact: true }).tap();
    for (let trial = 0; trial < TRIALS; trial++) {
      await page.waitForURL("**/trial");
      await ready(page);
      await fits(page);
      const before = await page.locator("input[name=page]").inputValue();
      await BY_TOUCH[kind](page);
      if (trial === 1) {
        await accessible(page);
        await look(page, `${kind} on a phone`);
      }
      // A finger that trembles sends twice.
      await page.getByRole("button", { name: "Next" }).dblclick({ noWaitAfter: true }).catch(() => {});
      await page.waitForFunction((before) => document.querySelector("input[name=page]")?.value !== before, before);
    }
    await page.waitForURL("**/finish");
    const { answers } = await study.answers();
    assert.equal(answers.length, TRIALS);
    for (const answer of answers) near(answer.given, GIVEN_BY_TOUCH[kind]);
    assert.deepEqual(page.complaints, []);
  });
}

const WITHOUT = {
  prefer: (page) => page.getByLabel("Picture 2", { exact: true }).check(),
  rate: (page) => page.getByLabel("5 – very well").check(),
  trust: (page) => page.getByLabel("Clearly program 1").check(),
};
const photo = (page, x, y) => page.locator("input[type=image]").click({ position: { x: x * 240, y: y * 180 } });

for (const kind of WITHOUT_SCRIPTS) {
  test(`${kind} is answered without scripts`, async (t) => {
    const study = await serve(t, kind);
    const page = await open(t, { ...PHONE, javaScriptEnabled: false });
    await page.goto(study.url);
    await page.locator("input[name=agree]").check();
    await page.getByText("Begin", { exact: true }).click();
    await page.getByText("Start", { exact: true }).click();
    for (let trial = 0; trial < TRIALS; trial++) {
      await page.waitForURL("**/trial");
      if (trial === 1) await look(page, `${kind} without scripts`);
      if (kind === "point") {
        await photo(page, 0.25, 0.5);
      } else if (kind === "box" && trial % 2) {
        await photo(page, 0.75, 0.5);
        await page.getByText("One corner is set").waitFor();
        await look(page, "box second corner");
        await photo(page, 0.25, 0.25);
      } else if (kind === "box") {
        for (const [name, value] of [["Left", "25"], ["Upper", "25,0"], ["Right", "75.0"]]) await page.getByLabel(`${name} border`).fill(value);
        await page.getByLabel("Lower border").fill("50");
        await press(page, "Enter");
      } else {
        await WITHOUT[kind](page);
        await page.getByRole("button", { name: "Next" }).click();
      }
    }
    await page.waitForURL("**/finish");
    const { answers } = await study.answers();
    assert.equal(answers.length, TRIALS);
    for (const answer of answers) {
      near(answer.given, GIVEN_BY_TOUCH[kind]);
      assert.equal(answer.window, null);
    }
    assert.deepEqual(page.complaints, []);
  });
}

async function begun(page, url) {
  await page.goto(url);
  await page.locator("input[name=agree]").check();
  await page.getByText("Begin", { exact: true }).click();
  await page.waitForURL("**/instructions");
}

test("a pause ends by its link in another browser, and withdrawing deletes", async (t) => {
  const study = await serve(t, "prefer");
  const page = await open(t, DESKTOP);
  await begun(page, study.url);
  await page.goto(`${study.url}/trial`);
  await ready(page);
  await BY_KEYBOARD.prefer(page);
  await page.getByText("Question 1 of").first().waitFor();
  await page.getByRole("link", { name: "Pause" }).click();
  await accessible(page);
  await look(page, "pause");
  const link = await page.locator("a.code").getAttribute("href");
  const other = await open(t, PHONE);
  await other.goto(link);
  await other.getByText("Question 1 of").first().waitFor();
  await other.getByRole("link", { name: "Withdraw" }).click();
  await accessible(other);
  await look(other, "withdraw");
  await other.getByRole("button", { name: "Delete my answers" }).click();
  await other.getByRole("heading", { name: "Your answers are deleted" }).waitFor();
  const { raters, answers, withdrawn } = await study.answers();
  assert.deepEqual({ raters, answers, withdrawn }, { raters: [], answers: [], withdrawn: 1 });
});

test("what was uncovered stays uncovered when the page is loaded again", async (t) => {
  const study = await serve(t, "reveal");
  const page = await open(t, DESKTOP);
  await begun(page, study.url);
  await page.goto(`${study.url}/trial`);
  await ready(page);
  await page.getByText("Show more").click();
  await page.getByText("Show more").click();
  await page.reload();
  await ready(page);
  await page.getByText("Step 3 of 4").waitFor();
  assert.equal(await page.locator("input[name=steps]").inputValue(), "3");
});

test("a box is drawn by mouse, by two clicks, and mended in numbers", async (t) => {
  const study = await serve(t, "box");
  const page = await open(t, DESKTOP);
  await begun(page, study.url);
  await page.goto(`${study.url}/trial`);
  await ready(page);
  const sides = () => page.evaluate(() => ["left", "top", "right", "bottom"].map((name) => Math.round(document.querySelector(`[name=${name}]`).value)));
  await at(page, async (x, y) => {
    await page.mouse.move(x(0.75), y(0.75));
    await page.mouse.down();
    await page.mouse.move(x(0.25), y(0.5), { steps: 3 });
    await page.mouse.up();
    assert.deepEqual(await sides(), [25, 50, 75, 75]);
    await page.mouse.click(x(0.1), y(0.1));
    await page.mouse.click(x(0.4), y(0.3));
    assert.deepEqual(await sides(), [10, 10, 40, 30]);
  });
  await page.getByLabel("Right border").fill("60");
  await look(page, "box by mouse");
  await page.locator("#next").click();
  await page.getByText("Question 1 of").first().waitFor();
  near((await study.answers()).answers[0].given, { kind: "locate", mark: { with: "box", left: 0.1, top: 0.1, right: 0.6, bottom: 0.3 } });
  // Nothing is sent that is not marked.
  await ready(page);
  await page.locator("#next").click();
  await page.getByText("Mark the place in the photo first").waitFor();
  await page.getByRole("button", { name: "It is not there" }).click();
  await page.getByText("Question 2 of").first().waitFor();
  assert.deepEqual((await study.answers()).answers[1].given, { kind: "locate", mark: { with: "nothing" } });
});

test("a task of Mechanical Turk is done in its frame and handed in there", async (t) => {
  const study = await serve(t, "rate", "--from", "mturk");
  const page = await open(t, DESKTOP);
  let handedIn;
  await page.context().route("https://workersandbox.mturk.com/**", (route) => {
    if (route.request().method() === "POST") {
      handedIn = [route.request().url(), route.request().postData()];
      return route.fulfill({ contentType: "text/html", body: "<p>Thank you</p>" });
    }
    const from = `${study.url}/mturk?assignmentId=a1&hitId=h1&workerId=w1&turkSubmitTo=https%3A%2F%2Fworkersandbox.mturk.com`;
    return route.fulfill({ contentType: "text/html", body: `<title>Task</title><iframe title="task" width="1200" height="750" src="${from.replaceAll("&", "&amp;")}"></iframe>` });
  });
  await page.goto("https://workersandbox.mturk.com/task");
  const frame = page.frameLocator("iframe");
  await frame.locator("input[name=agree]").check();
  await frame.getByText("Begin", { exact: true }).click();
  await frame.getByText("Start", { exact: true }).click();
  for (let trial = 0; trial < TRIALS; trial++) {
    await frame.getByText(trial ? `Question ${trial} of` : "Practice 1 of").first().waitFor();
    await frame.getByLabel("5 – very well").check();
    await frame.getByRole("button", { name: "Next" }).click();
  }
  await frame.getByRole("button", { name: "Hand in the task" }).waitFor();
  await look(page, "mturk end");
  await frame.getByRole("button", { name: "Hand in the task" }).click();
  await frame.getByText("Thank you", { exact: true }).waitFor();
  assert.equal(handedIn[0], "https://workersandbox.mturk.com/mturk/externalSubmit");
  assert.match(handedIn[1], /^assignmentId=a1&finished=/);
  assert.equal((await study.answers()).raters[0].source, "mturk");
  assert.deepEqual(page.complaints, []);
});

test("nobody else shows the study in a frame", async (t) => {
  const study = await serve(t, "rate");
  const page = await open(t, DESKTOP);
  await page.context().route("https://evil.example/", (route) => route.fulfill({ contentType: "text/html", body: `<iframe src="${study.url}/"></iframe>` }));
  await page.goto("https://evil.example/");
  await page.waitForTimeout(500);
  assert.equal(await page.frameLocator("iframe").locator("input[name=agree]").count(), 0);
  assert.match(page.complaints.join(), /frame-ancestors|frame/i);
});

test("the owner sees how far it is, stops, and gets the answers", async (t) => {
  const study = await serve(t, "prefer", "--from", "open,prolific");
  const rater = await open(t, DESKTOP);
  await begun(rater, study.url);
  await rater.goto(`${study.url}/trial`);
  for (let trial = 0; trial < 3; trial++) {
    await ready(rater);
    const before = await rater.locator("input[name=page]").inputValue();
    await BY_KEYBOARD.prefer(rater);
    await rater.waitForFunction((before) => document.querySelector("input[name=page]")?.value !== before, before);
  }
  const page = await open(t, DESKTOP);
  await page.goto(`${study.url}/owner`);
  await accessible(page);
  page.complaints.length = 0; // That the token is asked for is an error to the browser.
  await page.getByLabel("The token").fill(study.token);
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByText("How far it is").waitFor();
  await page.getByText("Answers per item").click();
  await accessible(page);
  await look(page, "owner");
  // Ids of platforms are deleted where there are any, and by nobody who has not said that they are sure.
  const forget = page.getByRole("button", { name: "Delete the platforms' ids" });
  assert.equal(await forget.count(), 0);
  const paid = await open(t, DESKTOP);
  await begun(paid, `${study.url}/prolific?PROLIFIC_PID=p&STUDY_ID=s&SESSION_ID=t`);
  await page.reload();
  await accessible(page);
  await look(page, "owner with ids");
  await forget.click();
  assert.equal(await forget.count(), 1);
  await page.getByLabel("delete the ids for good").check();
  await forget.click();
  await page.getByText("1 platform ids were deleted").waitFor();
  assert.equal(await forget.count(), 0);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "answers.csv" }).click();
  assert.equal((await download).suggestedFilename(), "answers.csv");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("takes no new raters").waitFor();
  const late = await open(t, PHONE);
  await late.goto(study.url);
  await late.getByRole("heading", { name: "takes nobody at the moment" }).waitFor();
  assert.deepEqual(page.complaints, []);
});
