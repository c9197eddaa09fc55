"""A call as a command that can be tried by hand."""

import shlex
from collections.abc import Mapping


def curl_command(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: str = ""
) -> str:
    """
    `curl -sS -X POST 'https://…'`, each value quoted for a shell.

    What was masked stays so: whoever tries it fills it in.
    """
    words = ["curl", "-sS"]
    if method != "GET":
        words += ["-X", method]
    for name, value in sorted((headers or {}).items()):
        words += ["-H", f"{name}: {value}"]
    if body:
        words += ["--data-raw", body]
    return " ".join(shlex.quote(word) for word in [*words, "--", url])
