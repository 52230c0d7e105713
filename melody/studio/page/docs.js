// The calls of the API as a page, from its own OpenAPI document.

const el = (tag, given, ...children) => {
  const element = Object.assign(document.createElement(tag), given);
  element.append(...children.filter((child) => child !== null));
  return element;
};

// Text with code between back ticks.
const prose = (text) => text.replaceAll("\n", " ").split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));

const whole = (api, schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema);
const kind = (schema) => (schema.anyOf ? schema.anyOf.map(kind).filter((one) => one !== "null").join(" or ") : schema.enum?.join(", ") ?? schema.type ?? "any");

function table(properties) {
  const rows = Object.entries(properties).map(([name, schema]) =>
    el("tr", {}, el("td", {}, name), el("td", {}, kind(schema)), el("td", {}, schema.description ?? (schema.default === undefined ? "" : `default ${JSON.stringify(schema.default)}`))));
  return el("table", {}, el("tbody", {}, ...rows));
}

function bodyOf(api, call) {
  const content = call.requestBody?.content ?? {};
  const [type, media] = Object.entries(content)[0] ?? [];
  if (!type) return [];
  if (type !== "application/json") return [el("h3", {}, "Body"), el("p", {}, "the bytes of a file")];
  const schema = whole(api, media.schema);
  const parts = [el("h3", {}, "Body"), table(schema.properties)];
  if (schema.properties.settings?.properties) parts.push(el("h3", {}, "settings"), table(schema.properties.settings.properties));
  for (const example of schema.examples ?? []) parts.push(el("pre", {}, JSON.stringify(example, null, 2)));
  return parts;
}

function entry(api, path, verb, call) {
  const parameters = (call.parameters ?? []).map((one) => [`${one.name} (${one.in})`, one.schema]);
  const sent = Object.values(call.responses ?? {}).flatMap((one) => Object.values(one.content ?? {})).find((one) => one.example);
  return el("details", {},
    el("summary", {}, el("i", { className: "verb" }, verb.toUpperCase()), el("code", {}, path), el("span", {}, call.summary ?? "")),
    el("p", {}, ...prose(call.description ?? "")),
    parameters.length ? table(Object.fromEntries(parameters)) : null,
    ...bodyOf(api, call),
    ...(sent ? [el("h3", {}, "Events"), el("pre", {}, sent.example)] : []),
  );
}

const api = await (await fetch("v1/openapi.json")).json();
document.querySelector("#about").append(...prose(api.info.description));
const tags = new Map();
for (const [path, calls] of Object.entries(api.paths))
  for (const [verb, call] of Object.entries(calls)) tags.set(call.tags[0], [...(tags.get(call.tags[0]) ?? []), entry(api, path, verb, call)]);
document.querySelector("#calls").append(...[...tags].flatMap(([tag, entries]) => [el("h2", {}, tag), ...entries]));
