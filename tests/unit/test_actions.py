"""API calls of onboarded domains: handlers, HTTP endpoints and the dispatcher."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Dict, Iterator, List, Optional, Tuple

import pytest

from rasa_onramp.actions import ActionFailed, Call, as_rows, handles
from rasa_onramp.actions.answer import answer, answer_now
from rasa_onramp.actions.http import ALLOWED_HOSTS_VARIABLE, MAX_BYTES, post
from rasa_onramp.actions.support_rows import support_rows
from rasa_onramp.dialogue import Corpus
from rasa_onramp.logs import Seldom
from rasa_onramp.store import open_store
from tiny_tracker import CAFE, bookings


class _Api(BaseHTTPRequestHandler):
    """A small API: each path behaves in one way."""

    asked: ClassVar[List[Dict[str, Any]]] = []
    authorized: ClassVar[List[Optional[str]]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        type(self).asked.append(json.loads(self.rfile.read(length)))
        type(self).authorized.append(self.headers["Authorization"])
        status, body = 200, b""
        if self.path == "/rows":
            body = b'[{"status": "in transit", "weight": 4.5, "insured": true, "note": null}]'
        elif self.path == "/wrapped":
            body = b'{"results": [{"status": "delivered"}]}'
        elif self.path == "/half":
            body = b'[{"st\\ud83d": "in transit \\ud83d"}]'
        elif self.path == "/nothing":
            status = 204
        elif self.path == "/empty":
            pass
        elif self.path == "/broken-off":
            self.send_response(200)
            self.send_header("Content-Length", "50")
            self.end_headers()
            self.close_connection = True
            return
        elif self.path == "/text":
            body = b"fine, thanks"
        elif self.path == "/nested":
            body = b'[{"address": {"street": "High Street"}}]'
        elif self.path == "/long":
            body = b"[]".ljust(MAX_BYTES + 1)
        elif self.path == "/moved":
            status = 302
        elif self.path == "/slow":
            time.sleep(1.5)
        elif self.path == "/trickle":
            self.send_response(200)
            self.end_headers()
            self._trickle(b" ")
            return
        elif self.path == "/trickled-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self._trickle(b"X: y\r\n")
            return
        elif self.path == "/trickled-chunk":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self._trickle(b"0")
            return
        else:
            status = 500
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/rows")
        self.end_headers()
        self.wfile.write(body)

    def _trickle(self, part: bytes) -> None:
        for _ in range(80):
            self.wfile.write(part)
            self.wfile.flush()
            time.sleep(0.1)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that gave up waiting


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def call(url: str = "", name: str = "find_parcel", domain: str = "parcels") -> Call:
    return Call(domain, name, {"tracking_number": "RX4821"}, url or None)


def test_an_endpoint_gets_the_call_and_its_rows_become_text(api: str) -> None:
    rows = post(call(f"{api}/rows"))
    assert rows == ({"status": "in transit", "weight": "4.5", "insured": "True"},)
    assert _Api.asked[-1] == {
        "domain": "parcels",
        "action": "find_parcel",
        "parameters": {"tracking_number": "RX4821"},
    }
    assert post(call(f"{api}/wrapped")) == ({"status": "delivered"},)
    assert post(call(f"{api}/nothing")) == post(call(f"{api}/empty")) == ()


def test_an_endpoint_is_told_whose_call_it_is(api: str) -> None:
    whose = {"conversation": "ann", "channel": "rest", "message_id": "m1"}
    assert post(replace(call(f"{api}/rows"), **whose, metadata={"token": "secret"}))
    assert {name: _Api.asked[-1].get(name) for name in whose} == whose
    assert "metadata" not in _Api.asked[-1]  # it may hold what the channel's users log in with


def test_a_user_and_password_in_the_url_are_given(api: str) -> None:
    with_user = f"{api}/rows".replace("http://", "http://me:p%40ss:w@")
    assert post(call(with_user))
    told = _Api.authorized[-1]
    assert told is not None and base64.b64decode(told.partition("Basic ")[2]) == b"me:p@ss:w"
    assert post(call(f"{api}/rows")) and _Api.authorized[-1] is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/broken", "HTTP 500"),
        ("/broken-off", "broke its answer off"),
        ("/text", "isn't JSON"),
        ("/nested", "'address' is dict"),
        ("/long", "answered with more than 1000000 bytes"),
        ("/moved", "HTTP 302"),
        ("/slow", "no answer within 0.3 s"),
        ("/trickle", "no answer within 0.3 s"),
        ("/trickled-headers", "no answer within 0.3 s"),
        ("/trickled-chunk", "no answer within 0.3 s"),
    ],
)
def test_what_isnt_rows_in_time_is_a_failure_in_one_line(api: str, path: str, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(ActionFailed) as caught:
        post(call(f"{api}{path}"), timeout=0.3 if "0.3 s" in said else 60)
    assert time.monotonic() - began < 5
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreachable_endpoint_is_named_without_its_secrets() -> None:
    with pytest.raises(ActionFailed) as caught:
        post(call("http://me:hunter2@127.0.0.1:9/find?key=hunter2"))
    assert "http://127.0.0.1:9/find can't be reached" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/x", "http://", "http://["]
)
def test_only_http_is_called(url: str) -> None:
    with pytest.raises(ActionFailed, match="mend it in the schema"):
        post(call(url))


def test_hosts_can_be_limited(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = api[len("http://") :]
    monkeypatch.setenv(ALLOWED_HOSTS_VARIABLE, f"api.example.com, {host}")
    assert post(call(f"{api}/rows"))
    port = host.rpartition(":")[2]
    monkeypatch.setenv(ALLOWED_HOSTS_VARIABLE, f"LocalHost:{port}")  # hosts have no case
    assert post(call(f"http://LOCALHOST:{port}/rows"))
    monkeypatch.setenv(ALLOWED_HOSTS_VARIABLE, "api.example.com")
    with pytest.raises(ActionFailed, match="isn't among the hosts"):
        post(call(f"{api}/rows"))


def test_a_domains_own_handler_comes_before_the_common_one_and_before_the_url(api: str) -> None:
    @handles("look_up")
    def common(parameters: Dict[str, str]) -> List[Dict[str, str]]:
        return [{"by": "common"}]

    @handles("look_up", domain="phones")
    async def own(parameters: Dict[str, str]) -> Dict[str, str]:
        await asyncio.sleep(0)
        return {"by": "phones", "number": parameters["tracking_number"]}

    url = f"{api}/rows"
    assert answer_now(call(url, "look_up", "parcels")) == ({"by": "common"},)
    assert answer_now(call(url, "look_up", "phones")) == ({"by": "phones", "number": "RX4821"},)
    assert answer_now(call(url, "unhandled"))[0]["status"] == "in transit"


def test_a_coroutine_behind_a_plain_function_is_awaited_in_time() -> None:
    async def looked_up(parameters: Dict[str, str]) -> List[Dict[str, str]]:
        await asyncio.sleep(float(parameters.get("seconds", 0)))
        return [{"by": "coroutine"}]

    @handles("wrapped")
    def wrapped(parameters: Dict[str, str]) -> Any:
        return looked_up(parameters)

    assert answer_now(call(name="wrapped")) == ({"by": "coroutine"},)
    slow = replace(call(name="wrapped"), parameters={"seconds": "30"})
    with pytest.raises(ActionFailed, match=r"parcels\.wrapped: no answer within 0.2 s"):
        answer_now(slow, timeout=0.2)


def test_failures_of_handlers_name_action_and_reason() -> None:
    @handles("crash")
    def crash(parameters: Dict[str, str]) -> None:
        raise ValueError("no such parcel")

    @handles("hang")
    async def hang(parameters: Dict[str, str]) -> None:
        await asyncio.sleep(30)

    with pytest.raises(ActionFailed, match=r"parcels\.crash: .*ValueError: no such parcel"):
        answer_now(call(name="crash"))
    with pytest.raises(ActionFailed, match=r"parcels\.hang: no answer within 0.05 s"):
        answer_now(call(name="hang"), timeout=0.05)
    with pytest.raises(ActionFailed, match=r"nothing answers parcels\.unknown"):
        answer_now(call(name="unknown"))


def test_handlers_that_hang_keep_no_other_waiting() -> None:
    stuck, released = [], threading.Event()

    @handles("stuck")
    def hang(parameters: Dict[str, str]) -> None:
        stuck.append(parameters)
        released.wait(30)

    @handles("quick")
    def quick(parameters: Dict[str, str]) -> List[Dict[str, str]]:
        return [{"status": "here"}]

    async def all_at_once() -> Tuple[Dict[str, str], ...]:
        hung = [answer(call(name="stuck"), timeout=0.2) for _ in range(60)]
        given_up = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(each, ActionFailed) for each in given_up)
        return await answer(call(name="quick"), timeout=5)

    began = time.monotonic()
    try:
        assert asyncio.run(all_at_once()) == ({"status": "here"},)
        assert len(stuck) == 60 and time.monotonic() - began < 10
    finally:
        released.set()


def test_hosts_that_nobody_finds_keep_no_other_call_waiting(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, look_up = threading.Event(), socket.getaddrinfo

    def hangs(host: Any, *more: Any, **how: Any) -> Any:
        if host == "hangs.example":
            released.wait(30)
        return look_up(host, *more, **how)

    async def all_at_once() -> Tuple[Dict[str, str], ...]:
        hung = [answer(call("http://hangs.example/x"), timeout=0.2) for _ in range(60)]
        given_up = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(each, ActionFailed) for each in given_up)
        return await answer(call(f"{api}/rows"), timeout=5)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        assert asyncio.run(all_at_once())
    finally:
        released.set()


def test_rows_are_limited_and_nothing_is_no_rows() -> None:
    assert as_rows(None) == ()
    assert len(as_rows([{"n": n} for n in range(500)])) == 50
    for nothing in ([], {}, [{}], [{"status": None}], {"results": None}):
        assert as_rows(nothing) == ()
    assert as_rows({"results": None, "count": 0}) == ()
    assert as_rows([{}, {"status": "here"}]) == ({"status": "here"},)
    assert as_rows({"results": "two", "more": None}) == ({"results": "two"},)  # a slot of that name
    with pytest.raises(ActionFailed, match="answered with str"):
        as_rows("fine")
    with pytest.raises(ActionFailed, match="a result is str"):
        as_rows(["fine"])


def test_half_an_emoji_in_an_answer_is_a_question_mark(api: str) -> None:
    """No tokenizer takes it: it would keep the domain from ever speaking again."""
    assert post(call(f"{api}/half")) == ({"st?": "in transit ?"},)

    @handles("half")
    def half(parameters: Dict[str, str]) -> List[Dict[str, str]]:
        return [{"status": "at the depot \ud83d"}]

    assert answer_now(call(name="half")) == ({"status": "at the depot ?"},)


def test_a_call_survives_the_slot_it_travels_in() -> None:
    asked = call("http://localhost/find")
    assert Call.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    for junk in (None, {}, {"name": "x"}, "find_parcel", {"name": 1, "parameters": []}):
        with pytest.raises(ActionFailed, match="holds no API call"):
            Call.from_json(junk)


def dispatch(slot: Any, heard: Any = None, **more: Any) -> Tuple[str, Any]:
    sdk = pytest.importorskip("rasa_sdk")
    from rasa_sdk.executor import CollectingDispatcher

    from rasa_onramp.actions import ActionOnrampCall

    message = {"text": "hello", **more, **({} if heard is None else {"onramp": heard})}
    tracker = sdk.Tracker("me", {"onramp": slot}, message, [], False, None, {}, None)
    (event,) = asyncio.run(ActionOnrampCall().run(CollectingDispatcher(), tracker, {}))
    return event["name"], event["value"]


def test_the_dispatcher_hands_on_rows_and_failures() -> None:
    @handles("dispatched")
    def dispatched(parameters: Dict[str, str]) -> List[Dict[str, str]]:
        return [{"status": f"saw {parameters['tracking_number']}"}]

    slot, outcome = dispatch({"call": call(name="dispatched").to_json()})
    assert (slot, outcome["rows"]) == ("onramp_results", [{"status": "saw RX4821"}])
    assert outcome["action"] == "dispatched"
    assert "nothing answers" in dispatch({"call": call(name="lost").to_json()})[1]["error"]
    assert "holds no API call" in dispatch(None)[1]["error"]
    # `rasa interactive` sets no slot of a policy's
    asked = {"call": call(name="dispatched").to_json()}
    old = {"call": call(name="lost").to_json()}
    for slots in (None, old):
        assert dispatch(slots, asked)[1]["rows"] == [{"status": "saw RX4821"}]
    assert "holds no API call" in dispatch(old, {"domain": None, "call": None})[1]["error"]


def test_that_any_host_may_be_called_is_said_once(
    api: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = pytest.importorskip("rasa_onramp.actions.dispatcher")
    monkeypatch.setattr(dispatcher, "_open_to_all", Seldom())
    asked = {"call": call(f"{api}/rows").to_json()}
    monkeypatch.setenv(ALLOWED_HOSTS_VARIABLE, api[len("http://") :])
    assert dispatch(asked)[1]["rows"]
    assert not caplog.records
    monkeypatch.delenv(ALLOWED_HOSTS_VARIABLE)
    assert dispatch(asked)[1]["rows"] and dispatch(asked)[1]["rows"]
    (warning,) = caplog.records
    assert ALLOWED_HOSTS_VARIABLE in warning.getMessage()


def test_a_failure_is_one_line_whatever_a_user_said(caplog: pytest.LogCaptureFixture) -> None:
    @handles("crash_with_words")
    def crash(parameters: Dict[str, str]) -> None:
        raise ValueError("no parcel RX\nERROR all is lost\x1b[2J")

    error = dispatch({"call": call(name="crash_with_words").to_json()})[1]["error"]
    assert "ValueError: no parcel RX\\nERROR all is lost\\x1b[2J; see the" in error
    assert [record.getMessage() for record in caplog.records] == [error]


def test_a_handler_is_told_whose_call_it_is() -> None:
    seen: List[Call] = []

    @handles("whose")
    def whose(parameters: Dict[str, str], *, call: Call) -> None:
        seen.append(call)

    @handles("whose_later")
    async def whose_later(parameters: Dict[str, str], call: Call) -> None:
        seen.append(call)

    message = {"message_id": "m1", "metadata": {"user": 7}}
    for name in ("whose", "whose_later"):
        assert dispatch({"call": call(name=name).to_json()}, **message)[1]["rows"] == []
    for one in seen:
        assert (one.conversation, one.message_id, one.metadata) == ("me", "m1", {"user": 7})
        assert one.parameters == {"tracking_number": "RX4821"}
    assert len(seen) == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "inf", "nan"])
def test_a_timeout_that_is_none_is_reported(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASA_ONRAMP_ACTION_TIMEOUT", seconds)
    outcome = dispatch({"call": call(name="dispatched").to_json()})[1]
    assert "set it to a number of seconds" in outcome["error"]


def test_dialogues_of_no_split_answer_for_an_api(tmp_path: Path) -> None:
    """As they are adapted on; held-out ones aren't looked into."""
    (asked, *others) = bookings(3)
    row = {"visit_day": "monday"}
    told = replace(asked, turns=(*asked.turns[:-1], replace(asked.turns[-1], results=(row,))))
    elsewhere = replace(others[0], split="held-out")
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(Corpus({CAFE.name: CAFE}, (told, elsewhere)))
        assert told.split is None
        assert support_rows(store, call(name="BookTable", domain=CAFE.name)) == (row,)
        assert support_rows(store, call(name="find_days", domain=CAFE.name)) is None
