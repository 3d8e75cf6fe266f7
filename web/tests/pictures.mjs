// Makes the pictures of the page again that the documentation shows (docs/images/view*.png):
//
//     HIRESCAM_PROGRAM=target/release/hirescam node web/tests/pictures.mjs
import { join } from "node:path";
import { close, fixture, launch, onPage, open, serve, WEB } from "./served.mjs";

const WINDOW = { viewport: { width: 1200, height: 750 } };
const FOLDER = join(WEB, "..", "docs", "images");
const ends = [];
const session = { after: (end) => ends.unshift(end) };
const shoot = async (page, name) => {
  // What is still loading would be missing, and where the mouse was would be marked.
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: join(FOLDER, name) });
};

await launch();
const cat = await serve(session, [fixture("efficientnet-lite0.onnx"), fixture("photos", "chelsea.png"), fixture("photos", "coffee.png")]);
let page = await open(session, cat.url, WINDOW);
await page.getByText(/add up to the score/).first().waitFor();
await shoot(page, "view.png");

const seven = await serve(session, [fixture("digits-cnn.onnx"), fixture("photos", "seven.png")]);
page = await open(session, seven.url, WINDOW);
await page.getByText(/locally-linear/).first().waitFor();
await page.getByText("cells", { exact: true }).click();
await page.getByText("for and against", { exact: true }).click();
await page.getByText("box", { exact: true }).click();
const go = async (row, column) => {
  const { x, y } = await onPage(page, { width: 28, height: 28 }, column / 7, row / 7);
  await page.mouse.move(x, y, { steps: 3 });
};
await go(0.8, 1.8);
await page.mouse.down();
await go(4.2, 5.2);
await page.mouse.up();
await page.locator(".region").waitFor();
await page.mouse.move(600, 5);
await shoot(page, "view-region.png");

for (const end of ends) await end();
await close();
