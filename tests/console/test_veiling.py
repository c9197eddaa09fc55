"""A catalog's text for those who may not edit it."""

import pytest

from tracker.flow.veiling import veil


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("token: abc,def # c", "token: ***"),
        ('token: "${ACME}"  # fine', 'token: "${ACME}"  # fine'),
        ('auth: {token: "lit}eral", x: y}', "auth: {token: ***, x: y}"),
        ("auth: {token: [one, two], x: y}", "auth: {token: ***, x: y}"),
        ("{hmac: plain, name: Acme}", "{hmac: ***, name: Acme}"),
        ("headers: {X-Api-Key: abcdef}", "headers: {X-Api-Key: ***}"),
        ("'Authorization': Bearer abc", "'Authorization': ***"),
        ("url: https://x/?token=abc&c={x}", "url: https://x/?token=***&c={x}"),
        ("hmac:\n  - first\n  - ${B}\nname: a", "hmac:\n  - ***\n  - ${B}\nname: a"),
        ("hmac:\n- first\nname: Acme", "hmac:\n- ***\nname: Acme"),
        ("- token: a\n- name: b", "- token: ***\n- name: b"),
        ("secret: >-\n  folded\n  more\nname: a", "secret: >-\n  ***\n  ***\nname: a"),
        ("token: plain\n  goes on\nname: a", "token: ***\n  ***\nname: a"),
        ("token: [a,\n  b\n]\nname: a", "token: ***\n  ***\n]\nname: a"),
        ('token: "a\n  b"\nname: a', "token: ***\n  ***\nname: a"),
        ("name: token", "name: token"),
    ],
)
def test_a_literal_secret_is_masked_and_a_reference_stays(written, shown):
    assert "\n".join(veil(written)) == shown
