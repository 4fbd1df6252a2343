"""Who may talk to the page, and what it says to those who may not."""

from __future__ import annotations

import re

import pytest
import stores

from thetahat.store import find_sweep, open_store
from thetahat.web import access_for

FAR = "192.0.2.7:8642"
OWN = {"origin": "http://127.0.0.1:8642"}
ODD = (
    "127.0.0.1:9944.evil.com",
    "127.0.0.1:8642:8642",
    "127.0.0.1:x",
    "evil.example@127.0.0.1",
    "127.0.0.1/evil.example",
    "[::1].evil.example",
    "[::1",
)


def test_names_that_are_not_ours_are_refused(used, client_of) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "192.0.2.7", "[::2]", "", "a b", *ODD):
        answer = client_of(used).get("/api/home", headers={"host": host})
        assert answer.status_code == 421, host
    for host in ("127.0.0.1", "localhost:9999", "LOCALHOST", "[::1]:8642"):
        assert client_of(used).get("/", headers={"host": host}).status_code == 200, host


def test_other_origins_are_refused(used, client_of) -> None:
    client = client_of(used)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "http://localhost:8642"):
        assert client.get("/api/home", headers={"origin": origin}).status_code == 403, origin
    assert client.get("/api/home", headers={"origin": "http://127.0.0.1:8642"}).status_code == 200


def test_other_sites_are_refused_unless_a_person_follows_a_link(used, client_of) -> None:
    client = client_of(used)
    there = {"sec-fetch-site": "cross-site"}
    walk = {**there, "sec-fetch-mode": "navigate"}
    assert client.get("/api/home", headers=there).status_code == 403
    assert client.get("/api/home", headers=walk).status_code == 403
    assert client.get("/", headers=walk).status_code == 200
    assert client.get("/", headers={**there, "sec-fetch-mode": "no-cors"}).status_code == 403


def test_a_change_needs_the_same_origin(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 2, 5)
        client = client_of(tmp_path)
        path = f"/api/sweeps/{sweep.id}/cancel"
        for headers in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
            assert client.post(path, headers=headers).status_code == 403
        assert client.get(path).status_code in (404, 405)
        assert find_sweep(store, sweep.id).state == "running"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "example.org"])
def test_a_token_is_needed_everywhere_unless_it_is_declined(host) -> None:
    token = access_for(host).token
    assert token is not None
    assert len(token) >= 32
    assert access_for(host, token=False).token is None


def test_another_user_of_this_machine_cannot_cancel_a_sweep(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 2, 5)
        access = access_for("127.0.0.1")
        client = client_of(tmp_path, access)
        path = f"/api/sweeps/{sweep.id}/cancel"
        for headers in ({}, {"authorization": "Bearer guess"}, {"cookie": "thetahat-8642=guess"}):
            assert client.post(path, headers={**OWN, **headers}).status_code == 401
            assert client.get("/api/home", headers=headers).status_code == 401
        assert find_sweep(store, sweep.id).state == "running"
        bearer = {**OWN, "authorization": f"Bearer {access.token}"}
        assert client.post(path, headers=bearer).json() == {"state": "cancelled"}


def test_what_a_browser_is_opened_with_is_valid_once(used, client_of) -> None:
    access = access_for("127.0.0.1")
    ticket = access.ticket()
    assert client_of(used, access).get(f"/?token={ticket}").status_code == 200
    assert client_of(used, access).get(f"/?token={ticket}").status_code == 401
    assert client_of(used, access).get(f"/?token={access.token}").status_code == 200


def test_pages_of_two_ports_do_not_end_each_others_session(used, client_of) -> None:
    one, two = (access_for("127.0.0.1") for _ in range(2))
    first = client_of(used, one, "127.0.0.1:8642")
    first.get(f"/?token={one.token}")
    second = client_of(used, two, "127.0.0.1:8643")
    second.cookies = first.cookies
    second.get(f"/?token={two.token}")
    first.cookies = second.cookies
    assert first.get("/api/home").status_code == second.get("/api/home").status_code == 200


ROUTES = (
    "/",
    "/sweep/x",
    "/api/home",
    "/api/events",
    "/static/app.css",
    "/favicon.ico",
    "/nothing",
)


@pytest.mark.parametrize("path", ROUTES)
def test_elsewhere_every_route_needs_the_token(used, client_of, path) -> None:
    client = client_of(used, access_for("0.0.0.0"), FAR)
    for given in ("", "?token=", "?token=wrong", "?token=%ff"):
        answer = client.get(path + given)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "token that `thetahat ui` printed" in answer.text
    assert (
        client.post("/api/sweeps/x/pause", headers={"origin": f"http://{FAR}"}).status_code == 401
    )


def test_the_token_travels_once_and_a_cookie_stays(used, client_of) -> None:
    access = access_for("0.0.0.0")
    client = client_of(used, access, FAR)
    answer = client.get(f"/sweep/x?token={access.token}&log=1")
    assert answer.status_code == 200
    assert 'content="0; url=/sweep/x?log=1"' in answer.text
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"thetahat-8642=[\w-]{40,}; Path=/; HttpOnly; SameSite=Strict", cookie)
    assert access.token not in cookie
    assert client.get("/api/home").status_code == 200
    client.cookies.clear()
    client.cookies.set("thetahat-8642", "guess")
    assert client.get("/api/home").status_code == 401


def test_an_address_cannot_smuggle_anything_into_the_way_in(used, client_of) -> None:
    access = access_for("0.0.0.0")
    client = client_of(used, access, FAR)
    for path in ("//evil.example", '/"><script>alert(1)</script>', "/\\evil.example"):
        answer = client.get(f"http://{FAR}{path}?token={access.token}&x=%22%3E%3Cscript%3E")
        assert "<script" not in answer.text
        assert "url=//" not in answer.text


def test_elsewhere_names_can_be_made_to_point_here_and_addresses_cannot(used, client_of) -> None:
    access = access_for("0.0.0.0")
    for host, status in (("192.0.2.7", 401), ("rebound.example", 421), ("[2001:db8::1]", 401)):
        client = client_of(used, access, FAR)
        assert client.get("/", headers={"host": host}).status_code == status


def test_every_answer_carries_the_headers(used, client_of) -> None:
    client = client_of(used)
    for path in (*(r for r in ROUTES if r != "/api/events"), "/api/runs/none"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in headers


DEEP = (b"[" * 200_000, b'{"a":' * 100_000, b"[" * 200_000 + b"]" * 200_000)
BODIES = (b"", b"{", b"nul", b"[]", b"3", b"\xff\xfe", b'"\\ud800"', b"NaN", b"9" * 5000)


@pytest.mark.parametrize("body", [*DEEP, *BODIES], ids=lambda body: repr(body[:6]))
def test_a_body_that_is_not_a_json_object_is_one_line(used, client_of, body) -> None:
    with open_store(used, create=False) as store:
        sweep = find_sweep(store, "wages, two layers")
    answer = client_of(used).post(f"/api/sweeps/{sweep.id}/export", content=body, headers=OWN)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long(used, client_of) -> None:
    with open_store(used, create=False) as store:
        sweep = find_sweep(store, "wages, two layers")
    sent = 0

    async def parts():
        nonlocal sent
        for _ in range(400):
            sent += 1
            yield b" " * (1 << 20)

    path = f"/api/sweeps/{sweep.id}/export"
    answer = client_of(used).post(path, content=parts(), headers=OWN)
    assert answer.status_code == 413
    assert answer.json() == {"error": "the body may have 4 MiB"}
    assert sent < 10
    assert client_of(used).post(path, content=b" " * (5 << 20), headers=OWN).status_code == 413


def test_the_token_of_an_address_counts_more_than_an_earlier_cookie(used, client_of) -> None:
    access = access_for("127.0.0.1", readers=True)
    client = client_of(used, access)
    for token, may in ((access.reader, 403), (access.token, 400), (access.reader, 403)):
        answer = client.get(f"/?token={token}&log=1")
        assert 'content="0; url=/?log=1"' in answer.text
        origin = {"origin": "http://127.0.0.1:8642"}
        assert client.post("/api/sweeps/none/fly", headers=origin).status_code in (may, 404)
        assert ("data-reads" in client.get("/").text) == (token == access.reader)
    # A wrong one leaves the session as it is, and no address keeps a token.
    assert 'content="0; url=/"' in client.get("/?token=wrong").text
    assert "data-reads" in client.get("/").text


def test_a_link_on_another_site_opens_the_page(used, client_of) -> None:
    access = access_for("127.0.0.1")
    from_wiki = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    client = client_of(used, access)
    answer = client.get("/sweep/x?log=1", headers=from_wiki)
    assert answer.status_code == 200
    assert 'content="0; url=/sweep/x?log=1"' in answer.text
    assert "set-cookie" not in answer.headers
    assert client.get("/sweep/x?log=1").status_code == 401
    client.get(f"/?token={access.token}")
    assert 'content="0; url' not in client.get("/sweep/x").text
    assert "//evil" not in client.get("//evil/x", headers=from_wiki).text.replace("https://", "")
