// Small helpers for elements. Whatever came from a file goes in as text, never as markup.

export const $ = (selector, within = document) => within.querySelector(selector);

export function el(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && name !== "list" && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, given = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function say(text) {
  $("#said").textContent = text;
}

let fading = 0;
export function trouble(text, stays = false) {
  const place = $("#trouble");
  place.textContent = text;
  place.hidden = !text;
  clearTimeout(fading);
  if (text && !stays) fading = setTimeout(() => (place.hidden = true), 9000);
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
