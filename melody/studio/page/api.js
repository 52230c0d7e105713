// The server's API. The token stands behind # in the address: no browser sends or logs that part.

const given = new URLSearchParams(location.hash.slice(1));
const token = given.get("token") ?? sessionStorage.getItem("melody-token") ?? "";
sessionStorage.setItem("melody-token", token);

export class Refused extends Error {
  constructor(code, message, status) {
    super(message);
    Object.assign(this, { code, status });
  }
}

export const address = (path) => `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}`;
export const whole = (path) => new URL(address(path), location.href).href;

async function asked(method, path, body, more = {}) {
  const raw = body instanceof Blob || body instanceof ArrayBuffer;
  const headers = { Authorization: `Bearer ${token}`, ...more.headers };
  if (body !== undefined && !raw) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { ...more, method, headers, body: raw || body === undefined ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("gone", "The server does not answer. Start it again with melody studio: your work is kept.", 0);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Refused(told.error?.code ?? "refused", told.error?.message ?? `the server says ${answer.status}`, answer.status);
}

export const json = async (method, path, body) => (await asked(method, path, body)).json();
export async function bytes(path) {
  const answer = await asked("GET", path);
  return [await answer.arrayBuffer(), answer.headers];
}

// Each event as it comes. Aborting the signal ends what gives them, a composition or a MIDI port.
export async function* events(method, path, body, signal) {
  const answer = await asked(method, path, body, { signal, headers: { Accept: "text/event-stream" } });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) yield JSON.parse(block.slice(block.indexOf("data: ") + 6));
  }
}
