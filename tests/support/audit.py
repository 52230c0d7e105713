"""An audit of a page in a browser: text that is hard to read, and controls without a name.

Contrast is that of WCAG 2.2 (1.4.3): 4.5 for text, 3 for large text, against the colours that lie behind it.
Names are those that Chromium's accessibility tree gives to screen readers. Where axe-core is installed (`npm install
axe-core`, or MELODY_AXE names its axe.min.js), its rules for WCAG 2.2 are asked too.
"""

import os
from pathlib import Path

from support.browser import Browser

CONTRAST = """(() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) =>
    top.slice(0, 3).map((value, part) => value * top[3] + below[part] * (1 - top[3])).concat(1);
  const light = (colour) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), rgba("canvas"));
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || !element.checkVisibility({ visibilityProperty: true }) || box.width < 3 || box.height < 3) continue;
    const style = getComputedStyle(element);
    if (element.closest(":disabled, .deaf, [aria-hidden=true]") || style.clipPath !== "none") continue;
    const ground = behind(element);
    const text = over(rgba(style.color), ground);
    const [high, low] = [light(text), light(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const words = JSON.stringify(element.textContent.trim().slice(0, 30));
    if (ratio < least) found.push(`${element.tagName}.${element.className} ${words}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
})()"""
NAMED = {"button", "link", "textbox", "combobox", "slider", "checkbox", "spinbutton", "searchbox", "dialog", "image"}


def faults(browser: Browser) -> list[str]:
    """Return what is wrong with the page as it stands, a line each."""
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        f"no name: {node['role']['value']} {node.get('backendDOMNodeId')}"
        for node in tree
        if not node.get("ignored")
        and node.get("role", {}).get("value") in NAMED
        and not node.get("name", {}).get("value", "").strip()
    ]
    return [*browser.evaluate(CONTRAST), *nameless]


ROOT = Path(__file__).parents[2]
AXE = Path(os.environ.get("MELODY_AXE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
ASK_AXE = """axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }).then(
  ({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(" ")}`))"""


def axe_faults(browser: Browser) -> list[str]:
    """Return what axe-core finds, a rule with its places each; nothing where it is not installed."""
    if not AXE.is_file():
        return []
    if not browser.evaluate("Boolean(globalThis.axe)"):
        browser.evaluate(AXE.read_text(encoding="utf-8") + ";void 0")
    found: list[str] = browser.evaluate(ASK_AXE)
    return found
