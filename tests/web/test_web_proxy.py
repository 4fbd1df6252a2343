"""A token that only reads, and the page under a path of a reverse proxy, on a store in PostgreSQL."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import stores
from chromium import Watched, settle, until
from reverse_proxy import proxy

from held_ports import HeldPort
from thetahat.core.errors import ConfigError
from thetahat.store import find_sweep, open_store

# The usual port, which another server has.
from thetahat.web import _server, access_for, serve

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from postgres_server import PostgresServer, lacking

PUBLIC = "https://lab.example.org/teams/wages"
_UI = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"


def bearer(token: str | None, origin: str = "http://127.0.0.1:8642") -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "origin": origin}


def test_a_token_that_reads_sees_all_and_changes_nothing(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 2, 5)
        access = access_for("127.0.0.1", readers=True)
        assert len({access.token, access.reader, access.session, access.reader_session}) == 4
        client = client_of(tmp_path, access)
        path = f"/api/sweeps/{sweep.id}"
        answer = client.post(f"{path}/cancel", headers=bearer(access.reader))
        assert answer.status_code == 403
        assert "your token only reads" in answer.json()["error"]
        # With the cookie, as a browser.
        assert client.get(f"/?token={access.reader}").status_code == 200
        assert client.get(path).json()["sweep"]["name"] == sweep.name
        for action in ("pause", "resume", "cancel", "retry-failed", "anything"):
            answer = client.post(f"{path}/{action}", headers={"origin": "http://127.0.0.1:8642"})
            assert answer.status_code == 403, action
        asked = {"format": "csv", "columns": ["name"], "ids": []}
        own = {"origin": "http://127.0.0.1:8642"}
        assert client.post(f"{path}/export", headers=own, json=asked).status_code == 200
        assert "data-reads" in client.get(f"/sweep/{sweep.id}").text
        assert find_sweep(store, sweep.id).state == "running"
        acting = client_of(tmp_path, access)
        acting.get(f"/?token={access.token}")
        assert "data-reads" not in acting.get(f"/sweep/{sweep.id}").text
        assert acting.post(f"{path}/pause", headers=own).json() == {"state": "paused"}


def test_without_readers_no_second_token_is_valid(used, client_of) -> None:
    access = access_for("127.0.0.1")
    client = client_of(used, access)
    for given in ("None", "", access.reader_session):
        assert client.get("/api/home", headers=bearer(given)).status_code == 401
    cookie = {"cookie": f"thetahat-8642={access.reader_session}"}
    assert client.get("/api/home", headers=cookie).status_code == 401
    with pytest.raises(ConfigError, match="--readers needs tokens; leave out --no-token"):
        access_for("127.0.0.1", token=False, readers=True)


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "lab.example.org"])
@pytest.mark.parametrize("path", ["", "/teams/wages"])
def test_behind_a_proxy_links_cookies_and_origins_are_those_of_its_address(
    used, client_of, host, path
) -> None:
    access = access_for("127.0.0.1", behind=PUBLIC)
    client = client_of(used, access, host)
    answer = client.get(f"{path}/sweep/x?token={access.token}&over=seed")
    assert 'content="0; url=/teams/wages/sweep/x?over=seed"' in answer.text
    cookie = answer.headers["set-cookie"]
    assert "; Path=/teams/wages; HttpOnly; SameSite=Strict; Secure" in cookie
    # Pages under other paths of the proxy have cookies of other names.
    name = cookie.split("=")[0]
    assert name == ("thetahat-8642" if ":" in host else "thetahat") + "-teams-wages"
    sent = {"cookie": cookie.split(";")[0]}
    page = client.get(f"{path}/sweep/x", headers=sent).text
    about = f'data-root="/teams/wages" data-behind="{PUBLIC}" data-store=" --store {used}"'
    assert f'<html {about} lang="en">' in page
    addresses = set(re.findall(r'(?:href|src)="(/[^"]*)"', page))
    assert len(addresses) > 5
    assert all(address.startswith("/teams/wages/") for address in addresses)
    home = f"{path}/api/home"
    for origin, code in (("https://lab.example.org", 200), ("https://evil.example", 403)):
        assert client.get(home, headers={**sent, "origin": origin}).status_code == code
    assert (
        client.get(home, headers={**sent, "origin": "http://lab.example.org:1"}).status_code == 403
    )
    assert client.get(f"{path}/api/home", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("lab.example.org", "it does not begin with http:// or https://"),
        ("ftp://a/b", "it does not begin with http:// or https://"),
        ("http://a/b?c=d", "it has ? or # in it"),
        ("http://ann@a/b", "it names a user"),
        ('http://a/"x', "after the scheme it may have letters of English.*"),
        ("http://a b/", "after the scheme it may have letters of English.*"),
        ("http:///a", "after the scheme it may have letters of English.*"),
        ("http://a/wäges", "after the scheme it may have letters of English.*"),
        ("http://a:99999/b", "there is no port 99999"),
        ("http://a/../b", "its path has . or .. in it"),
    ],
)
def test_what_is_no_address_of_a_proxy_is_refused(given, why) -> None:
    said = rf"is not an address of a proxy \({why}\); give one such as https"
    with pytest.raises(ConfigError, match=said.replace("?", r"\?").replace("..", r"\.\.")):
        access_for("127.0.0.1", behind=given)


def test_the_address_of_a_proxy_is_compared_as_browsers_write_it() -> None:
    behind = access_for("127.0.0.1", behind="HTTPS://Lab.Example.org:443/Wages/").behind
    assert behind is not None
    assert (behind.url, behind.origin) == (
        "https://lab.example.org/Wages",
        "https://lab.example.org",
    )


def test_behind_a_proxy_no_other_port_is_taken_than_the_one_it_knows(tmp_path, monkeypatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(_server, "PORT", other.getsockname()[1])
        with pytest.raises(ConfigError, match="give --port another one, to which the proxy passes"):
            serve(tmp_path, behind=PUBLIC, browser=False)


@contextmanager
def page_behind(place: str, port: int, public: str, *flags: str) -> Iterator[tuple[str, str]]:
    """``thetahat ui`` of a store behind a proxy: the address that acts, and that which reads."""
    words = ["ui", "--store", place, "--no-browser", "--port", str(port)]
    anyone = "--no-token" in flags
    words += [*flags, *([] if anyone else ["--readers"]), "--behind", public]
    process = subprocess.Popen(
        [sys.executable, "-c", _UI, *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = [process.stdout.readline() for _ in range(1 if anyone else 2)]
        if anyone:
            yield public, public
            return
        acts, reads = (re.search(r"http://\S+", line) for line in said)
        assert acts is not None, said
        assert reads is not None, said
        assert said[1].startswith("to read only: ")
        yield acts.group(), reads.group()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def pages_behind(places: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    """A page for each path of one proxy: its addresses, in the order of the paths."""
    with ExitStack() as pages:
        held = {root: pages.enter_context(closing(HeldPort())) for root in places}
        ports = {root: port.number for root, port in held.items()}
        public = pages.enter_context(proxy(ports))
        yield [
            pages.enter_context(page_behind(place, ports[root], public + root))
            for root, place in places.items()
        ]


@pytest.mark.browser
@pytest.mark.postgres
def test_the_page_of_a_store_in_postgresql_behind_a_proxy(look, tmp_path) -> None:
    why = lacking()
    if why is not None:
        pytest.skip(why)
    server = PostgresServer()
    try:
        place = f"{server.create('store')}?folder={tmp_path / 'runs'}"
        with open_store(place) as store:
            sweep = stores.tuning_sweep(store, 12, 20)
            run = store.runs(sweep_id=sweep.id, limit=1)[0]
            with pages_behind({"/teams/wages": place}) as [(acts, reads)]:
                readers = look(reads)
                page = readers.open(f"/sweep/{sweep.id}")
                assert page.get_by_text("read only", exact=True).is_visible()
                assert page.get_by_role("button", name="Cancel").count() == 0
                readers.shot("postgres-behind-a-proxy-reads")
                # A click may meet a table that is just drawn anew: follow the link itself.
                page.goto(page.get_by_role("link", name=run.name).first.evaluate("(a) => a.href"))
                page.wait_for_selector('main[aria-busy="false"]')
                assert page.url.endswith(f"/teams/wages/run/{run.id}")
                settle(page)
                tab = look(acts)
                page = tab.open(f"/sweep/{sweep.id}")
                page.get_by_role("button", name="Pause").click()
                until(
                    page,
                    "[...document.querySelectorAll('button')].some((b) => b.textContent === 'Resume')",
                )
                assert find_sweep(store, sweep.id).state == "paused"
                tab.shot("postgres-behind-a-proxy-acts")
                # A change by another program comes by itself.
                store.finish_run(run.id, status="failed", reason="a change from outside")
                page = tab.open("/")
                assert page.get_by_role("link", name=sweep.name).first.is_visible()
                for one in (tab, readers):
                    one.page.close()
    finally:
        server.close()


@pytest.mark.browser
def test_two_pages_under_two_paths_of_one_proxy_are_open_in_one_browser(look, tmp_path) -> None:
    places = {"/wages": str(tmp_path / "new"), "/wages/old": str(tmp_path / "old")}
    sweeps = {}
    for root, place in places.items():
        with open_store(place) as store:
            sweeps[root] = stores.tuning_sweep(store, 2, 5).id
    with pages_behind(places) as [(acts, _), (_, reads_old)]:
        new = look(acts)
        # A tab of the same browser, with its cookies: this person may only read the other page.
        old = Watched(new.page.context.new_page(), reads_old)
        new.open(f"/sweep/{sweeps['/wages']}")
        old.open(f"/sweep/{sweeps['/wages/old']}")
        # The page of the first path is still open, and its token still acts.
        page = new.open(f"/sweep/{sweeps['/wages']}")
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").wait_for()
        page = old.open(f"/sweep/{sweeps['/wages/old']}")
        assert page.get_by_text("read only", exact=True).is_visible()
        assert page.get_by_role("button", name="Pause").count() == 0
        cookies = {one["path"]: one["name"] for one in page.context.cookies()}
        assert set(cookies) == set(places)
        assert len(set(cookies.values())) == 2
        # What a page asks for under its own path alone is watched by both tabs.
        assert old.wrong == []
        for one in (new, old):
            one.page.close()
    with open_store(places["/wages"]) as store:
        assert find_sweep(store, sweeps["/wages"]).state == "paused"
    with open_store(places["/wages/old"]) as store:
        assert find_sweep(store, sweeps["/wages/old"]).state == "running"


@pytest.mark.browser
@pytest.mark.parametrize("flag", ["--no-token", "--tokens", ""])
def test_a_page_outlives_a_server_that_restarts_behind_a_proxy(look, tmp_path, flag) -> None:
    flags = {"--tokens": [flag, str(tmp_path / "tokens")], "": []}.get(flag, [flag])
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 3, 5)
    with closing(HeldPort()) as held, proxy({"/wages": (port := held.number)}) as root:
        public = f"{root}/wages"
        with page_behind(str(tmp_path), port, public, *flags) as (acts, reads):
            tab = look(acts)
            page = tab.open(f"/sweep/{sweep.id}")
            assert page.title() == f"{sweep.name} · wages · thetahat"
            page.get_by_text("live", exact=True).wait_for()
        # The proxy answers 502 in its place, and then the same server with other tokens.
        page.get_by_text("The server does not answer.").wait_for()
        with page_behind(str(tmp_path), port, public, *flags) as again:
            assert (again == (acts, reads)) == bool(flags)
            if flags:
                page.get_by_text("live", exact=True).wait_for()
                page.get_by_text("The server does not answer.").wait_for(state="hidden")
            else:
                page.get_by_text("with new tokens: open the address").wait_for()
            tab.wrong.clear()
            page.close()


@pytest.mark.browser
def test_a_hidden_page_lets_its_connection_go(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 2, 5)
    with pages_behind({"/wages": str(tmp_path)}) as [(acts, _)]:
        tab = look(acts)
        page = tab.open(f"/sweep/{sweep.id}")
        page.get_by_text("live", exact=True).wait_for()
        show = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        show += " document.dispatchEvent(new Event('visibilitychange')); }"
        with page.expect_event("requestfailed", lambda one: one.url.endswith("/api/events")):
            page.evaluate(show, True)
        with open_store(tmp_path) as store:
            store.create_run({"lr": 0.5}, sweep_id=sweep.id)
        with page.expect_request("**/api/events"):
            page.evaluate(show, False)
        until(page, "document.querySelector('main').dataset.rows === '3'")
        page.close()


@pytest.mark.browser
def test_a_page_opened_by_another_name_than_its_own_says_where_it_is(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 2, 5)
    with pages_behind({"/wages": str(tmp_path)}) as [(acts, _)]:
        tab = look(acts.replace("127.0.0.1", "localhost"))
        tab.page.goto(f"{tab.root}/sweep/{sweep.id}?token={acts.split('=')[1]}")
        own = acts.split("?")[0] + f"sweep/{sweep.id}"
        tab.page.get_by_role("link", name=own, exact=True).wait_for()
        assert "its scripts were refused" in tab.page.inner_text("main")
        tab.shot("opened-by-another-name")
        tab.wrong.clear()
        tab.page.close()
