"""What must not happen while somebody looks at a page."""

from pathlib import Path
from urllib.parse import urlsplit

AXE = (Path(__file__).parent / "axe/axe-4.14.1.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_RUN = """async (only) => {
  const found = await axe.run(document, {runOnly: only, resultTypes: ["violations"]});
  return found.violations.map(one => one.id + ": " + one.help + ": "
    + one.nodes.slice(0, 4).map(node => node.target.join(" ")).join(", "));
}"""

_TOO_WIDE = """() => {
  const root = document.documentElement;
  const held = (one) => one && one !== document.body
    && (getComputedStyle(one).overflowX !== "visible" || held(one.parentElement));
  const sticksOut = (one) => one.getBoundingClientRect().right > root.clientWidth + 1;
  if (root.scrollWidth <= root.clientWidth) return [];
  const wide = [...document.querySelectorAll("body *")].filter(
    one => sticksOut(one) && !held(one.parentElement));
  return [`${root.scrollWidth} px: `
    + wide.slice(0, 4).map(one => one.outerHTML.slice(0, 60)).join(", ")];
}"""


_SHORTEN = """() => document.querySelectorAll("tbody").forEach(
  body => [...body.rows].slice(5).forEach(row => row.remove()))"""


class Watch:
    """Notes of a page whatever a user would have to be ashamed of."""

    def __init__(self, origin):
        self._origin = urlsplit(origin).netloc
        self.troubles = []

    def follow(self, page):
        """From now on, everything that it asks for and says."""
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("dialog", self._interrupted)

    async def _interrupted(self, dialog):
        self.troubles.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()

    def _asked(self, request):
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.netloc != self._origin:
            self.troubles.append(f"asked elsewhere: {request.url}")

    def _answered(self, response):
        if response.status >= 500:
            self.troubles.append(f"{response.status} for {response.url}")

    def _said(self, message):
        # Chromium says so of any answer that is none of 200, 404 and its kin too.
        is_status = message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not is_status:
            self.troubles.append(f"console: {message.text}")


async def shorten(page):
    """Rows of a table are alike: axe takes its time for each, and five say it all."""
    await page.evaluate(_SHORTEN)


async def list_barriers(page, *rules):
    """What axe finds that keeps people out, by all of its rules or by these."""
    if not await page.evaluate("() => typeof axe !== 'undefined'"):
        await page.evaluate(AXE)
    return await page.evaluate(_RUN, [*(rules or RULES)])


async def list_overflow(page):
    """What makes the page, and not a part of it, scroll sideways."""
    return await page.evaluate(_TOO_WIDE)
