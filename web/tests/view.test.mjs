// The page of `hirescam view` in a real browser, on real networks: what one opens, sees, asks, compares, trusts and takes along.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { DESKTOP, PHONE, PROGRAM, WEB, accessible, answer, close, close_to, drawn, explained, fits, fixture, folder, launch, look, numberIn, onPage, open, press, serve, tabTo } from "./served.mjs";

const DIGITS = fixture("digits-cnn.onnx");
const SEVEN = fixture("photos", "seven.png");
const THREE = fixture("photos", "three.png");
const LITE = fixture("efficientnet-lite0.onnx");
const CHELSEA = fixture("photos", "chelsea.png");

before(launch);
after(close);

const tab = (page, name) => page.getByRole("tab", { name, exact: true }).click();
const readout = (page) => page.locator("#readout").innerText();
/** The map that the page shows first, from the API. */
async function firstMap(server, spec = { target: "top:1" }) {
  const { opened } = await server.ask("");
  const { results } = await server.ask("explanations", { model: opened.models[0], images: [opened.images[0]], spec });
  return results[0].maps[0];
}
const sumOf = (map, cells) => cells.reduce((sum, cell) => sum + map.values[cell], 0) / map.record.scale;
const argmax = (values) => values.reduce((best, v, i) => (v > values[best] ? i : best), 0);

/** A PNG of one colour a row, of any size. */
function png(width, height) {
  const crc = (bytes) => {
    let c = ~0;
    for (const byte of bytes) {
      c ^= byte;
      for (let k = 0; k < 8; k++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0);
    }
    return ~c >>> 0;
  };
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) rows.fill((255 * y) / height, y * (width + 1) + 1, (y + 1) * (width + 1));
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 1 })), chunk("IEND", Buffer.alloc(0))]);
}

test("what is built is what the sources say, and its script is small", () => {
  execFileSync("node", ["scripts/sources.mjs", "check"], { cwd: WEB });
  const scripts = readdirSync(join(WEB, "dist", "assets")).filter((name) => name.endsWith(".js"));
  const bytes = scripts.map((name) => gzipSync(readFileSync(join(WEB, "dist", "assets", name))).length);
  assert.ok(bytes.reduce((a, b) => a + b) <= 300 * 1024, `${bytes}`);
});

test("a network and an image by argument: what it says, where it looked, and what is proven, as the command line says it", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN, THREE]);
  const page = await open(t, server.url);
  const [record] = explained(DIGITS, SEVEN, "--out", join(folder(t), "out")).slice(-1);
  const said = await answer(page, /Network says/);
  assert.match(said, /Network says: 7 \(score 19\.9\d?\)/);
  assert.match(said, /locally-linear/);
  const sum = /Σ map (\S+) \+ b (\S+) = score (\S+)/.exec(await page.locator("p.sum").innerText());
  assert.ok(sum, await page.locator("p.sum").innerText());
  for (const [shown, true_] of [[sum[1], record.sum], [sum[2], record.bias], [sum[3], record.score]]) assert.ok(close_to(numberIn(shown), true_), `${shown} ${true_}`);
  for (const words of record.certificate.slice(1)) assert.ok((await page.locator("aside").textContent()).includes(words), words);
  assert.equal(await page.locator(".bars li").count(), 5);
  await look(page, "dark");
  await accessible(page);
  await fits(page);
  await page.getByRole("combobox", { name: "Brightness" }).selectOption("light");
  await look(page, "light");
  await accessible(page);
});

test("cells as they are stand beside the smooth picture, one click apart; colours are signed or not, and end in numbers", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN]);
  const page = await open(t, server.url);
  await answer(page, /7/);
  const map = await firstMap(server);
  const [rows, columns] = map.shape;
  await page.getByRole("slider", { name: "opacity" }).fill("1");
  // Where the largest cell is, an opaque colour lies: one colour as it is, many when it is smoothed.
  const cell = argmax(map.values);
  const colours = async () => {
    const points = await Promise.all([0.1, 0.3, 0.5, 0.7, 0.9].map((at) => onPage(page, { width: 28, height: 28 }, ((cell % columns) + at) / columns, (Math.floor(cell / columns) + 0.5) / rows)));
    return page.evaluate((points) => {
      const canvas = document.querySelector(".viewer canvas");
      const box = canvas.getBoundingClientRect();
      const pixel = ({ x, y }) => canvas.getContext("2d").getImageData(Math.round((x - box.x) * devicePixelRatio), Math.round((y - box.y) * devicePixelRatio), 1, 1).data.join();
      return new Set(points.map(pixel)).size;
    }, points);
  };
  assert.ok((await colours()) > 1);
  await look(page, "smooth");
  await page.getByText("cells", { exact: true }).click();
  assert.equal(await colours(), 1);
  await look(page, "cells");
  const bar = page.locator(".bar.beside svg");
  assert.match(await bar.getAttribute("aria-label"), /^Colours from 0 to/);
  await page.getByText("for and against", { exact: true }).click();
  const [, low, high] = /from (\S+) to (\S+):/.exec(await bar.getAttribute("aria-label"));
  assert.ok(close_to(numberIn(high), Math.max(...map.values.map(Math.abs))) && numberIn(low) === -numberIn(high), `${low} ${high}`);
  assert.equal(await page.getByRole("combobox", { name: "Diverging colours" }).inputValue(), "glow");
  await look(page, "for and against");
  await page.getByRole("checkbox", { name: "diverging from 0" }).uncheck();
  assert.ok(await page.getByRole("combobox", { name: "Sequential colours" }).isVisible());
  // By hue alone nothing is said: in grey it is still a scale.
  await page.getByRole("combobox", { name: "Sequential colours" }).selectOption("gray");
  const before = await drawn(page);
  await page.getByRole("slider", { name: "opacity" }).fill("0.3");
  assert.notEqual(await drawn(page), before);
});

test("a cell is asked by the mouse, a box and a lasso add up what lies inside, with the sentence that is true of it", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN]);
  const page = await open(t, server.url);
  await answer(page, /7/);
  const map = await firstMap(server);
  const [rows, columns] = map.shape;
  const at = (row, column) => onPage(page, { width: 28, height: 28 }, column / columns, row / rows);
  const go = async (row, column) => {
    const { x, y } = await at(row, column);
    await page.mouse.move(x, y, { steps: 3 });
  };
  await go(2.5, 3.5);
  const cell = 2 * columns + 3;
  const said = await readout(page);
  const [, value, rank] = /^Row 3, column 4: \+?(\S+?),.* rank (\d+) of 49\./.exec(said) ?? assert.fail(said);
  assert.ok(close_to(numberIn(value), map.values[cell]));
  assert.equal(Number(rank), 1 + map.values.filter((v) => v > map.values[cell]).length);
  assert.match(said, /theoretical receptive field/);
  await look(page, "hover");
  const inside = [1, 2, 3].flatMap((row) => [2, 3, 4].map((column) => row * columns + column));
  const total = sumOf(map, inside);
  const holds = async () => {
    const text = await page.locator(".region").innerText();
    assert.match(text, /9 cells/);
    const numbers = text.replaceAll("−", "-").match(/-?\d+(\.\d+)?(e-?\d+)?/g).map(Number);
    assert.ok(numbers.some((n) => close_to(n, total)), `${text}; ${total}`);
    assert.doesNotMatch(text, /\{\w+\}/);
  };
  await page.getByText("box", { exact: true }).click();
  await go(0.8, 1.8);
  await page.mouse.down();
  await go(4.2, 5.2);
  await page.mouse.up();
  await holds();
  await look(page, "box");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("lasso", { exact: true }).click();
  await go(0.8, 1.8);
  await page.mouse.down();
  for (const [row, column] of [[0.8, 5.2], [4.2, 5.2], [4.2, 1.8]]) await go(row, column);
  await page.mouse.up();
  await holds();
  // A click puts one more to it, or takes it away.
  await page.getByText("move", { exact: true }).click();
  await go(5.5, 5.5);
  await page.mouse.down();
  await page.mouse.up();
  assert.match(await page.locator(".region").innerText(), /10 cells/);
});

test("by keyboard alone cells are gone through and added up, classes and layers are changed, and pages are turned", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN, THREE]);
  const page = await open(t, server.url);
  await answer(page, /7/);
  const map = await firstMap(server);
  const columns = map.shape[1];
  await tabTo(page, ".surface");
  await press(page, "ArrowDown");
  const first = argmax(map.values);
  const where = (cell) => new RegExp(`^Row ${Math.floor(cell / columns) + 1}, column ${(cell % columns) + 1}:`);
  assert.match(await readout(page), where(first));
  const inward = first % columns > 0 ? "ArrowLeft" : "ArrowRight";
  const second = inward === "ArrowLeft" ? first - 1 : first + 1;
  await press(page, "Space", inward, "Space");
  assert.match(await readout(page), where(second));
  const region = await page.locator(".region").innerText();
  assert.match(region, /2 cells/);
  assert.ok(region.replaceAll("−", "-").match(/-?\d+(\.\d+)?/g).some((n) => close_to(Number(n), sumOf(map, [first, second]))), region);
  await look(page, "by keyboard");
  const smooth = await drawn(page);
  await press(page, "c");
  assert.notEqual(await drawn(page), smooth);
  await press(page, "Escape");
  assert.equal(await page.locator(".region").count(), 0);
  await press(page, "+", "+");
  assert.match(await page.locator(".zoom").innerText(), /2\.3×/);
  await press(page, "0");
  assert.equal(await page.locator(".zoom").count(), 0);
  await tabTo(page, "[role=tab]");
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, "nav input[type=radio]");
  await press(page, "ArrowDown");
  await answer(page, /Network says: 3/);
  await tabTo(page, "[role=tab]");
  await press(page, "ArrowRight");
  assert.equal(await page.getByRole("tab", { selected: true }).innerText(), "Methods");
  await press(page, "ArrowLeft");
  await tabTo(page, ".layers input");
  const layer = await page.locator(".layers .code").innerText();
  await press(page, "ArrowLeft");
  assert.notEqual(await page.locator(".layers .code").innerText(), layer);
  await tabTo(page, ".bars li:nth-child(2) button.bar");
  await press(page, "Enter");
  await answer(page, /^\s*Why/);
});

test("another class, a contrast and any target are one click or one line away, and what is none is said", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN]);
  const page = await open(t, server.url);
  await answer(page, /Network says: 7/);
  const { opened } = await server.ask("");
  const { results } = await server.ask("explanations", { model: opened.models[0], images: [opened.images[0]], spec: {} });
  const [best, second] = results[0].classes;
  await page.locator(".bars .bar").nth(1).click();
  assert.match(await answer(page, /Why/), new RegExp(`Why ${second.label} `));
  await page.locator(".bars .bar").first().click();
  await answer(page, /Network says: 7/);
  await page.getByRole("button", { name: new RegExp(`why not this\\? ${second.label}$`) }).click();
  await answer(page, /Why/);
  const score = /score (\S+)$/.exec((await page.locator("p.sum").innerText()).trim())[1];
  assert.ok(close_to(numberIn(score), best.score - second.score, 2e-2), `${score} ${best.score - second.score}`);
  await look(page, "contrast");
  const ask = async (text) => {
    await page.getByRole("textbox", { name: /Ask for another class/ }).fill(text);
    await page.getByRole("button", { name: "Ask", exact: true }).click();
  };
  await ask("4");
  await answer(page, /Why 4/);
  await ask("weights:7=1,3=-0.5");
  await answer(page, /Why/);
  await ask("all");
  await page.waitForFunction(() => document.querySelectorAll(".bars li").length === 10);
  await page.locator(".bars .bar").nth(3).click();
  await answer(page, /Why/);
  await ask("classs:7");
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").innerText(), /class/);
  await look(page, "no target");
  await page.getByRole("button", { name: "Best class" }).click();
  await answer(page, /Network says: 7/);
});

test("methods, layers, images and differences are small multiples on one scale or each its own, and the table is that of compare", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN, THREE]);
  const page = await open(t, server.url);
  await answer(page, /7/);
  const { methods } = await server.ask("");
  await tab(page, "Methods");
  const oneRun = methods.filter((method) => method.one_run);
  await page.waitForFunction((n) => document.querySelectorAll(".multiples .badge").length >= n, 6);
  assert.equal(await page.locator(".multiples figure").count(), oneRun.length);
  await page.getByText(/has a scale of its own/).waitFor();
  await page.getByText("one scale", { exact: true }).click();
  await page.getByText(/have one scale: the same colour is the same number/).waitFor();
  await look(page, "methods");
  await accessible(page);
  await page.getByRole("button", { name: "Compare methods in numbers" }).click();
  const table = page.getByRole("region", { name: "Methods in numbers" });
  await table.waitFor();
  const rows = await table.locator("tbody tr").allInnerTexts();
  const { opened } = await server.ask("");
  const [compared] = (await server.ask("comparisons", { model: opened.models[0], images: [opened.images[0]], spec: {} })).results;
  assert.deepEqual(rows.map((row) => row.split("\t")[0]), compared.table.map((row) => row.title));
  await page.getByRole("button", { name: "ReciproCAM" }).click();
  await page.locator(".multiples figure", { hasText: "ReciproCAM" }).getByText("unproven").waitFor();
  await table.scrollIntoViewIfNeeded();
  await look(page, "methods in numbers");
  await page.getByRole("button", { name: /^Look at Grad-CAM$/ }).click();
  await answer(page, /Grad-CAM shows this/);
  await tab(page, "Layers");
  const { length } = (await server.ask(`models/${opened.models[0]}/layers`, {})).filter((layer) => layer.why === null);
  await page.waitForFunction((n) => document.querySelectorAll(".multiples .badge").length === n, length);
  await look(page, "layers");
  await accessible(page);
  await tab(page, "Images");
  await page.waitForFunction(() => document.querySelectorAll(".multiples .badge").length === 2);
  await look(page, "images");
  await accessible(page);
  await tab(page, "Difference");
  await page.getByLabel("by", { exact: true }).first().selectOption("hirescam");
  await page.getByLabel("by", { exact: true }).nth(1).selectOption("gradcam");
  await page.getByText(/Cells differ by/).waitFor();
  const model = opened.models[0];
  const [{ maps }] = (await server.ask("explanations", { model, images: [opened.images[0]], spec: { target: "top:1", method: "hirescam,gradcam" } })).results;
  const largest = Math.max(...maps[0].values.map((v, i) => Math.abs(v - maps[1].values[i])));
  const said = /Cells differ by (\S+) at most/.exec(await page.getByText(/Cells differ by/).innerText())[1];
  assert.ok(close_to(numberIn(said), largest), `${said} ${largest}`);
  await look(page, "difference");
  await accessible(page);
});

test("the layer's slider changes the map while it is dragged, within 50 ms", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN]);
  const page = await open(t, server.url);
  await answer(page, /7/);
  const slider = page.getByRole("slider", { name: "Layer" });
  await slider.focus();
  const most = Number(await slider.getAttribute("max"));
  await page.waitForFunction((n) => document.querySelectorAll(".layers rect.there").length === n, most + 1);
  const took = await page.evaluate(async (most) => {
    const slider = document.querySelector(".layers input");
    const times = [];
    for (let i = 0; i < 3 * (most + 1); i++) {
      slider.value = String(i % (most + 1));
      const begun = performance.now();
      slider.dispatchEvent(new InputEvent("input", { bubbles: true }));
      // All that follows is done when tasks are done again.
      await new Promise((resolve) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = resolve; port2.postMessage(0); });
      document.querySelector(".viewer canvas").getContext("2d").getImageData(0, 0, 1, 1);
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b);
  }, most);
  t.diagnostic(`median ${took[took.length >> 1].toFixed(1)} ms, worst ${took.at(-1).toFixed(1)} ms of ${took.length} changes`);
  assert.ok(took[took.length >> 1] <= 50, `${took}`);
  await slider.fill("0");
  const first = await drawn(page);
  await slider.fill(String(most));
  assert.notEqual(await drawn(page), first);
  assert.equal(await page.locator(".layers .badge").count(), 1);
});

test("a check tells how far it is, can be stopped, and ends in a table", async (t) => {
  const server = await serve(t, [fixture("scans", "findings.onnx"), fixture("scans", "left.png")]);
  const page = await open(t, server.url);
  await answer(page);
  const check = page.getByRole("button", { name: "Check on this image" });
  // The page itself cancels at the first word of how far it is: a check of so small a network may end before a click from here arrives.
  const cancelled = page.evaluate(() => new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (!document.querySelector("aside progress[value]")) return;
      observer.disconnect();
      [...document.querySelectorAll("aside button")].find((button) => button.textContent.trim() === "Cancel").click();
      resolve();
    });
    observer.observe(document.querySelector("aside"), { subtree: true, childList: true, attributes: true });
  }));
  await check.click();
  await cancelled;
  await check.waitFor();
  assert.equal(await page.locator("aside table").count(), 0);
  await check.click();
  const table = page.locator("aside table");
  await table.waitFor();
  assert.match(await table.innerText(), /HiResCAM/);
  await table.scrollIntoViewIfNeeded();
  await look(page, "check");
  await accessible(page);
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /Save the report/ }).click()]);
  assert.match(readFileSync(await saved.path(), "utf8"), /<html/i);
});

test("what is looked at is taken along: picture, numbers, record, model, a file that needs no server, and a line that makes the same", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN]);
  const page = await open(t, server.url);
  await answer(page, /7/);
  const map = await firstMap(server);
  const { opened } = await server.ask("");
  const take = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
  };
  assert.equal((await take("PNG")).bytes.subarray(1, 4).toString(), "PNG");
  const svg = await take("SVG");
  assert.match(svg.bytes.toString(), /<svg[\s\S]*<text/);
  const npy = await take("NPY");
  assert.match(npy.bytes.subarray(0, 128).toString("latin1"), /NUMPY[\s\S]*\(7, 7\)/);
  const values = new Float32Array(npy.bytes.buffer.slice(npy.bytes.byteOffset + npy.bytes.length - 4 * 49, npy.bytes.byteOffset + npy.bytes.length));
  assert.deepEqual([...values], map.values.map(Math.fround));
  const record = JSON.parse((await take("Record")).bytes);
  assert.deepEqual([record.score, record.sum, record.bias], [map.record.score, map.record.sum, map.record.bias]);
  assert.match((await take("Explaining model")).name, /\.onnx$/);
  await page.getByRole("button", { name: "Command line" }).click();
  const line = await page.locator(".command").innerText();
  const out = folder(t);
  execFileSync("sh", ["-c", line.replace(/(^|\n)hirescam /, `$1'${PROGRAM}' `)], { cwd: out, stdio: "ignore" });
  const made = readdirSync(join(out, "out")).find((name) => name.endsWith(".json"));
  assert.equal(JSON.parse(readFileSync(join(out, "out", made))).sum, map.record.sum);

  // All layers and methods that were looked at are in the file.
  await page.getByRole("slider", { name: "Layer" }).focus();
  const layers = (await server.ask(`models/${opened.models[0]}/layers`, {})).filter((layer) => layer.why === null).length;
  await page.waitForFunction((n) => document.querySelectorAll(".layers rect.there").length === n, layers);
  const file = join(out, "view.html");
  writeFileSync(file, (await take("This view as a file")).bytes);
  // The page goes on asking for its server; the file has none.
  page.expected.push(/ERR_CONNECTION|Failed to load resource/);
  await server.kill();
  const offline = await open(t, `file://${file}`);
  assert.match(await answer(offline, /7/), /Network says: 7/);
  await offline.waitForTimeout(300);
  const first = await drawn(offline);
  await offline.getByRole("slider", { name: "Layer" }).fill("0");
  assert.notEqual(await drawn(offline), first);
  await look(offline, "a file");
  await accessible(offline);
});

test("a server that is killed is missed in a sentence, and what was opened on the page is there again when it comes back", async (t) => {
  const server = await serve(t, [DIGITS]);
  const page = await open(t, server.url);
  page.expected.push(/ERR_CONNECTION|Failed to load resource/);
  await page.locator(".welcome > div input[type=file]").setInputFiles([SEVEN]);
  await answer(page, /Network says: 7/);
  await server.kill();
  // Nobody asks for anything, and it is said all the same.
  await page.getByText(/The server has ended, or cannot be reached/).waitFor();
  await page.locator(".bars .bar").nth(4).click();
  await look(page, "no server");
  const again = await serve(t, [DIGITS], server.port);
  await page.getByText(/The server has ended/).waitFor({ state: "detached" });
  await answer(page, /Why/);
  assert.equal((await again.ask("images")).length, 1);
});

test("networks and images are opened by the dialog and by dropping them; what is missing is asked for, with what the network would see", async (t) => {
  const server = await serve(t, []);
  const page = await open(t, server.url);
  await page.getByText(/Drop a network/).waitFor();
  await look(page, "nothing open");
  await accessible(page);
  const vit = fixture("zoo", "vit.dynamo.onnx");
  await page.locator(".welcome > div input[type=file]").setInputFiles([vit]);
  await page.getByText(/Drop images here/).waitFor();
  const data = await page.evaluateHandle((bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "coffee.png", { type: "image/png" }));
    return transfer;
  }, readFileSync(fixture("photos", "coffee.png")).toString("base64"));
  await page.dispatchEvent("main", "dragover", { dataTransfer: data });
  await page.getByText("Drop networks, images or labels").waitFor();
  await page.dispatchEvent("main", "drop", { dataTransfer: data });
  await page.getByRole("heading", { name: /How are photos prepared/ }).waitFor();
  const { presets } = await server.ask("");
  assert.equal(await page.locator("section ul li").count(), presets.length);
  page.expected.push(/status of 422/);
  // Presets are for another size than the 32 × 32 of this network, and say so; its own steps are begun for it.
  await page.getByText(/the network takes 32x32 pixels/).first().waitFor();
  const own = page.getByRole("button", { name: "Take these steps" });
  await page.waitForFunction(() => document.querySelector(".own canvas")?.width === 32);
  await look(page, "how photos are prepared");
  await accessible(page);
  await page.getByRole("textbox").fill('{"resize": {"exact": [32, 32]}, "scale": 0.00392156862745098, "mean": [0.5], "std": [0.25]}');
  await own.click();
  const said = await answer(page);
  assert.match(said, /class \d+/);
  await look(page, "a transformer without labels");
  const model = (await server.ask("models"))[0];
  const labels = Array.from({ length: model.classes }, (_, i) => `<img src=x onerror=alert(1)> ${i}`);
  const file = join(folder(t), "labels.txt");
  writeFileSync(file, labels.join("\n"));
  await page.locator("aside input[type=file]").setInputFiles([file]);
  await answer(page, /<img src=x onerror=alert/);
  await look(page, "hostile labels");
});

test("several networks stand side by side, and each explains its own", async (t) => {
  const place = folder(t);
  const small = join(place, "small.onnx");
  copyFileSync(DIGITS, small);
  writeFileSync(join(place, "small.toml"), 'resize = { exact = [28, 28] }\nchannels = "gray"\nscale = 0.00392156862745098\n');
  const server = await serve(t, [LITE, small, CHELSEA]);
  const page = await open(t, server.url);
  await answer(page, /tiger cat/);
  await tab(page, "Networks");
  await page.waitForFunction(() => document.querySelectorAll(".multiples .badge").length === 2);
  await look(page, "networks");
  await accessible(page);
  // By its name the same class can be asked of both: the other has none of this name, and says so.
  await page.getByRole("checkbox", { name: "each network explains its own best class" }).uncheck();
  await page.locator(".multiples figure", { hasText: "small.onnx" }).getByText(/tiger cat/).waitFor();
  await page.getByRole("button", { name: "Look at small.onnx" }).click();
  await answer(page, /class \d/);
});

test("what is hostile does nothing: files that are none, names that are markup", async (t) => {
  const name = "<img src=x onerror=alert(1)>.png";
  const place = folder(t);
  copyFileSync(SEVEN, join(place, name));
  const server = await serve(t, [DIGITS, join(place, name)]);
  const page = await open(t, server.url);
  page.expected.push(/status of 4\d\d/);
  await answer(page, /7/);
  assert.ok((await page.locator("nav").innerText()).includes(name));
  const bad = join(place, "<script>alert(1)</script>.onnx".replaceAll("/", "∕"));
  writeFileSync(bad, "this is no network");
  await page.locator("header input[type=file]").setInputFiles([bad, ...readdirSync(fixture("hostile")).map((file) => fixture("hostile", file))]);
  await page.locator(".refused").first().waitFor();
  const broken = join(place, "broken.png");
  writeFileSync(broken, readFileSync(SEVEN).subarray(0, 60));
  await page.locator("header input[type=file]").setInputFiles([broken, fixture("images", "bomb.png")]);
  await page.locator(".refused", { hasText: "broken.png" }).waitFor();
  await page.locator(".refused", { hasText: "bomb.png" }).waitFor();
  await look(page, "refused");
  await accessible(page);
  assert.equal(await page.evaluate(() => document.images.length), 1);
  await page.locator("header").getByText("digits-cnn.onnx").click();
  await answer(page, /Network says: 7/);
});

test("300 images stay fluid, and are explained as they come into sight", async (t) => {
  const place = join(folder(t), "many");
  mkdirSync(place);
  for (let i = 0; i < 300; i++) copyFileSync(i % 2 ? SEVEN : THREE, join(place, `${String(i).padStart(3, "0")}.png`));
  const server = await serve(t, [DIGITS, place]);
  const page = await open(t, server.url);
  await answer(page, /Network says: 3/);
  assert.equal(await page.locator("nav .item").count(), 300);
  await tab(page, "Images");
  await page.waitForFunction(() => document.querySelectorAll(".multiples .badge").length >= 12);
  await look(page, "300 images");
  const made = await page.locator(".multiples .badge").count();
  assert.ok(made < 150, `${made} maps are made though few are seen`);
  await page.locator(".multiples figure").nth(299).scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelectorAll(".multiples figure")[299].querySelector(".badge"));
  // Scrolling and choosing never keep the page busy for long.
  const longest = await page.evaluate(async () => {
    const middle = document.querySelector(".middle");
    let [longest, last] = [0, performance.now()];
    for (let i = 0; i < 40; i++) {
      middle.scrollTop = (middle.scrollHeight * i) / 40;
      await new Promise(requestAnimationFrame);
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    return longest;
  });
  t.diagnostic(`longest frame while scrolling ${longest.toFixed(0)} ms`);
  await tab(page, "Look");
  await page.locator("nav .item").nth(299).scrollIntoViewIfNeeded();
  await page.locator("nav .item").nth(299).click();
  await answer(page, /Network says: 7/);
});

test("a network of 1,000 classes on a photo and on one of 12 megapixels, zoomed and moved", async (t) => {
  const large = join(folder(t), "large.png");
  writeFileSync(large, png(4000, 3000));
  const server = await serve(t, [LITE, CHELSEA, large]);
  const page = await open(t, server.url);
  const said = await answer(page, /Network says: /);
  assert.match(said, /tiger cat \(score 9\.2\d?\).*contribution.*exact/);
  await look(page, "1000 classes, dark");
  await page.getByRole("button", { name: "More classes" }).click();
  assert.equal(await page.locator(".bars li").count(), 10);
  await page.locator("nav .item").nth(1).click();
  await answer(page, /Network says/);
  const isThere = () => {
    const canvas = document.querySelector(".viewer canvas");
    return canvas.getContext("2d").getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data[3] === 255;
  };
  await page.waitForFunction(isThere);
  const whole = await drawn(page);
  const { x, y } = await onPage(page, { width: 4000, height: 3000 }, 0.5, 0.5);
  await page.mouse.move(x, y);
  for (let i = 0; i < 6; i++) await page.mouse.wheel(0, -300);
  await page.locator(".zoom").waitFor();
  const close = await drawn(page);
  assert.notEqual(close, whole);
  await page.mouse.down();
  await page.mouse.move(x + 120, y + 60, { steps: 5 });
  await page.mouse.up();
  assert.notEqual(await drawn(page), close);
  await look(page, "12 megapixels, closer");
  await page.getByRole("button", { name: "fit" }).click();
  await page.locator(".zoom").waitFor({ state: "detached" });
});

test("on a phone it is all there, one thing below the other", async (t) => {
  const server = await serve(t, [DIGITS, SEVEN]);
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(t, server.url, { ...PHONE, colorScheme });
    await answer(page, /7/);
    await fits(page);
    await accessible(page);
    await look(page, `phone, ${colorScheme}`);
    for (const name of ["Methods", "Layers", "Networks", "Images", "Difference"]) {
      await tab(page, name);
      await fits(page);
    }
  }
});
