"""`rasa-onramp chat`: its commands, what it shows, and who answers API calls."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Iterator, List, Optional

import pytest

from command_line import invoke, spawn
from rasa_onramp.actions.calls import Call
from rasa_onramp.actions.written_rows import parse_rows
from rasa_onramp.cli.chat_calls import answerer
from rasa_onramp.cli.chat_view import call_line, rows_line, state_lines, understanding_lines
from rasa_onramp.dialogue import State
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.understanding import Understanding
from rasa_onramp.store import Store, open_store
from rasa_onramp.tracker.checkpoint import save_tracker
from tiny_tracker import tiny_tracker, tokenizer_json


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=1), folder, tokenizer_json())
    return folder


@pytest.fixture
def store(repository: Path) -> Iterator[Store]:
    data = repository / "dialogue_data"
    assert invoke("init").code == 0
    assert invoke("import", data / "parcel_delivery.yml", data / "mobile_plan.yml").code == 0
    with open_store() as opened:
        yield opened


def typed(*lines: Optional[str]):
    """A user who types these lines."""
    waiting: List[Optional[str]] = list(lines)
    return lambda prompt: waiting.pop(0)


def test_a_piped_chat_reads_like_a_transcript(store: Store, checkpoint: Path) -> None:
    said = "where is my parcel\n\n/state\n/help\n/reset\n/state\n/quit\nnot read any more\n"
    done = invoke("chat", "--no-replies", "--checkpoint", checkpoint, input=said)
    assert (done.code, done.err) == (0, "")
    blocks = done.out.split("\nyou> ")
    assert [block.split("\n")[0] for block in blocks[1:]] == [
        "where is my parcel",
        *("", "/state", "/help", "/reset", "/state", "/quit"),
    ]
    first = blocks[1].splitlines()
    assert first[1].startswith("  domain  parcel_delivery  ")
    assert first[2].startswith("  intent  ")
    assert first[-1].startswith("bot> ")
    assert len(first[-1]) > len("bot> ")
    assert blocks[3].splitlines()[1] == "  domain  parcel_delivery"
    assert "/state shows" in blocks[4]
    assert blocks[6].splitlines()[1] == "  nothing yet"


def test_the_input_may_end_without_quit(store: Store, checkpoint: Path) -> None:
    done = invoke(
        "chat", "--no-replies", "parcel_delivery", "--checkpoint", checkpoint, input="hello"
    )
    assert (done.code, done.err) == (0, "")
    assert "\nyou> hello\n  domain  parcel_delivery" in done.out


def test_what_is_no_domain_s_is_said_to_be_none(store: Store, checkpoint: Path) -> None:
    wine = "which red wine goes with a goat cheese tart?"
    done = invoke("chat", "--no-replies", "--checkpoint", checkpoint, input=wine)
    assert "  domain  none" in done.out
    assert "bot> " in done.out
    # with a domain named, every message is that domain's
    named = invoke("chat", "--no-replies", "mobile_plan", "--checkpoint", checkpoint, input=wine)
    assert "  domain  mobile_plan" in named.out


def test_input_that_is_not_utf_8(store: Store, checkpoint: Path) -> None:
    done = spawn(
        "chat", "--no-replies", "--checkpoint", checkpoint, input="caf\xe9\n", encoding="latin-1"
    )
    assert done.code == 2
    assert done.err.startswith("rasa-onramp: ")
    assert done.err.count("\n") == 1
    assert "UTF-8" in done.err


def test_a_state_as_text() -> None:
    understood = Understanding(
        Route("parcels", 0.9),
        State({"day": ("friday", "fri"), "shop": ("any",)}, "collect", ("price", "hours")),
        changes={"day": ("friday", "fri"), "area": ()},
        slot_confidence={"day": 0.876, "area": 0.5},
        intent_confidence=0.91,
        version=3,
    )
    assert list(understanding_lines(understood)) == [
        "domain  parcels  0.90  (version 3)",
        "intent  collect  0.91",
        "slots * day = friday  0.88",
        "        shop = any",
        "      * area cleared",
        "asks    price, hours",
    ]
    assert list(state_lines(State())) == ["intent  none", "slots   nothing yet"]


def test_calls_and_rows_as_text() -> None:
    assert call_line("find", {"a": "1", "b": "two words"}) == "call    find(a=1, b=two words)"
    assert rows_line([{"a": "1", "b": "2"}, {"a": "3"}]) == "rows    a=1, b=2 | a=3"
    assert rows_line([]) == "rows    none found"
    assert rows_line(None) == "rows    the call failed"


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            "status=in transit, expected_day=Friday",
            {"status": "in transit", "expected_day": "Friday"},
        ),
        (
            "expected_day=Friday, the 9th,status = lost",
            {"expected_day": "Friday, the 9th", "status": "lost"},
        ),
        ('{"status": "lost", "expected_day": null}', {"status": "lost"}),
        ("status=", {}),
    ],
)
def test_rows_as_typed(line: str, row: dict) -> None:
    assert parse_rows(line, ("status", "expected_day")) == ([row] if row else [])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("in transit", "slot=value"),
        ("lost, status=lost", "slot=value"),
        ("colour=red", "no result of this call"),
        ("{status: lost}", "JSON"),
        ('{"status": {"deep": 1}}', "JSON"),
    ],
)
def test_rows_that_are_none(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_rows(line, ("status", "expected_day"))


@pytest.mark.parametrize(
    "text",
    [
        "status=lost, expected_day=never\n\n  status=found\n",
        '[{"status": "lost", "expected_day": "never"}, {"status": "found"}]',
        '{"status": "lost", "expected_day": "never"}\nstatus=found',
        '{"results": [{"status": "lost", "expected_day": "never"}, {"status": "found"}]}',
        '{"results": [{"status": "lost", "expected_day": "never"}]}\n{}\nstatus=\nstatus=found',
        '{\n  "results": [\n    {"status": "lost",\n     "expected_day": "never"},\n'
        '    {"status": "found"}\n  ]\n}',
    ],
)
def test_rows_are_written_a_row_a_line_or_as_json(text: str) -> None:
    found = parse_rows(text, ("status", "expected_day"))
    assert found == [{"status": "lost", "expected_day": "never"}, {"status": "found"}]


@pytest.mark.parametrize(
    "text", ["", " ", "\n ", "[]", "[{}]", "{}", '{"results": []}', "status=", '{"status": null}']
)
def test_no_rows_are_none_found(text: str) -> None:
    assert parse_rows(text, ("status",)) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("status=lost\nlost", "line 2: write a row as slot=value"),
        ('[{"colour": "red"}]', "'colour' is no result of this call: status"),
        ('{\n"colour": "red"\n}', "^'colour' is no result of this call: status"),
        ("lost", "^write a row as slot=value"),
        ('["lost"]', "not a JSON array of objects"),
        ("[" * 50_000, "not a JSON array of objects"),
    ],
)
def test_rows_that_cannot_be_read(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_rows(text, ("status",))


def test_a_row_of_a_call_that_returns_nothing() -> None:
    with pytest.raises(ValueError, match="list 'status' among the action's result_slots first"):
        parse_rows("status=lost", ())


def find_parcel(**parameters: str) -> Call:
    return Call("parcel_delivery", "find_parcel", parameters)


def test_the_user_answers_a_call(store: Store) -> None:
    lines = typed("status=lost", "nonsense", "expected_day=never", "")
    assert answerer("ask", store, lines)(find_parcel()) == [
        {"status": "lost"},
        {"expected_day": "never"},
    ]
    answer = '{"results": [{"status": "lost"}, {"status": "found"}]}'
    lines = typed(answer, "{}", "status=", "")
    assert answerer("ask", store, lines)(find_parcel()) == [
        {"status": "lost"},
        {"status": "found"},
    ]
    assert answerer("ask", store, typed(""))(find_parcel()) == []
    assert answerer("ask", store, typed("status=lost", "!"))(find_parcel()) is None
    assert answerer("ask", store, typed(None))(find_parcel()) == []
    # of an action that was taken out of the schema meanwhile, too
    assert answerer("ask", store, typed(""))(Call("parcel_delivery", "no_such_action", {})) == []


def test_a_support_dialogue_answers_a_call(store: Store) -> None:
    answer = answerer("support", store, typed())
    known = answer(find_parcel(tracking_number="RX4821"))
    assert known == ({"status": "at the depot", "expected_day": "tomorrow"},)
    # of an unknown parcel it still says something, so that the chat goes on
    assert answer(find_parcel(tracking_number="nobody's"))
    assert answer(Call("parcel_delivery", "no_such_action", {})) is None


class _Parcels(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        number = asked["parameters"]["tracking_number"]
        self.wfile.write(json.dumps([{"status": f"{number} is lost \ud83d"}]).encode())

    def log_message(self, *arguments: object) -> None:
        pass


def test_an_endpoint_answers_a_call(store: Store, capsys: pytest.CaptureFixture) -> None:
    answer = answerer("url", store, typed())
    with HTTPServer(("127.0.0.1", 0), _Parcels) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        call = Call("parcel_delivery", "find_parcel", {"tracking_number": "RX1"}, url)
        assert answer(call) == ({"status": "RX1 is lost ?"},)
        server.shutdown()
    assert answer(call) is None
    assert answer(find_parcel()) is None  # the schema has no URL
    assert capsys.readouterr().out.count("  failed: ") == 2
