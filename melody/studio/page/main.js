// The beginning: ask the server what it can do, and open a session or the first page.

import * as api from "./api.js";
import { $, trouble } from "./dom.js";
import { help } from "./help.js";
import { keys } from "./keys.js";
import { pointers } from "./pointers.js";
import { Recorder } from "./recorder.js";
import { start } from "./start.js";
import { Studio } from "./studio.js";

async function open() {
  const about = await api.json("GET", "v1/about");
  const studio = new Studio(about);
  const picked = $("#file");
  const pick = () => picked.click();
  picked.addEventListener("change", () => {
    if (picked.files[0]) studio.quietly(studio.take(picked.files[0]));
    picked.value = "";
  });
  const compose = async (body, did) => {
    document.body.classList.remove("empty");
    await studio.run({ ...body, takes: 4 }, did);
  };
  pointers(studio);
  studio.recorder = new Recorder(studio);
  keys(studio, { open: pick, help });
  $("#open").addEventListener("click", pick);
  $("#help").addEventListener("click", help);
  const id = new URLSearchParams(location.hash.slice(1)).get("session");
  if (id) await studio.resume(id).catch((error) => studio.failed(error));
  if (studio.base) return studio;
  const sessions = await api.json("GET", "v1/sessions").catch(() => []);
  start($("#start"), about, sessions.filter((one) => one.states), { open: pick, compose: (body, did) => studio.quietly(compose(body, did)), record: (kind) => studio.recorder.press(kind), resume: (session) => studio.quietly(studio.resume(session)) });
  return studio;
}

open().then(
  (studio) => (globalThis.studio = studio),
  (error) => trouble(error.code === "token" ? "Open the whole address that melody studio printed: the part behind # lets you in." : error.message, true),
);
