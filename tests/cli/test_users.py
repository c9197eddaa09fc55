"""`tracker users`: who may use the console."""

PASSWORD = "correct horse battery staple"


def test_the_first_admin_of_an_installation(tracker, runtime):
    added = tracker("users", "add", "Root", "--role", "admin", stdin=f"{PASSWORD}\n")
    (listed,) = tracker("users", "list", "--json").lines

    assert added.code == 0
    assert (listed["name"], listed["role"], listed["ended_at"]) == (
        "root",
        "admin",
        None,
    )
    assert "password" not in str(listed)
    assert "root" in tracker("users", "list").out


def test_the_last_admin_stays(tracker, runtime):
    tracker("users", "add", "root", "--role", "admin", stdin=f"{PASSWORD}\n")

    refused = tracker("users", "end", "root")

    assert (refused.code, "last admin" in refused.err) == (1, True)


async def test_links_are_printed_to_be_passed_on(tracker, runtime):
    invited = tracker(
        "users",
        "invite",
        "bea",
        "--role",
        "partner",
        "--partner",
        "bestdeals",
        "--json",
    ).document
    tracker("users", "add", "vera", stdin=f"{PASSWORD}\n")
    reset = tracker("users", "reset", "vera").out.strip()

    by = [(one.name, one.partner) for one in await runtime.people.list_invitations()]
    assert by == [("bea", "bestdeals"), ("vera", None)]
    start = f"{runtime.settings.console_url}/invitations/"
    assert invited["link"].startswith(start)
    assert reset.startswith(start)


def test_what_cannot_be_is_refused_in_a_sentence(tracker, runtime):
    weak = tracker("users", "add", "vera", stdin="short\n")
    role = tracker("users", "add", "vera", "--role", "boss", stdin=f"{PASSWORD}\n")
    partner = tracker("users", "invite", "bea", "--role", "partner", "--partner", "x")
    nobody = tracker("users", "reset", "nobody")

    assert [one.code for one in (weak, role, partner, nobody)] == [1, 1, 1, 1]
    assert "at least 12 characters" in weak.err
    assert "no partner of that key" in partner.err
