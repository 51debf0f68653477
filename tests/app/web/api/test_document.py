import ast
import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from app.web.api import shapes
from app.web.api.document import document
from app.web.api.operations import operations
from app.web.problems import KINDS

VOID = {"meta", "link", "br", "hr", "img", "input"}
OURS = ("/v1/", "/webhooks/", "/healthz", "/readyz", "/metrics")


class Page(HTMLParser):
    """What a page holds: its tags in order, its anchors, links and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append(tag)
        self.ids += [str(told["id"])] if "id" in told else []
        self.links += [str(told["href"])] if "href" in told else []
        assert not [name for name in told if name.startswith("on") or name == "style"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_route_of_systems_is_documented_and_every_documented_one_is_there(
    client: FlaskClient,
) -> None:
    routes = {
        (method.lower(), re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith(OURS)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = client.get("/openapi.json").get_json()["paths"]
    assert {(method, path) for path, methods in told.items() for method in methods} == routes


def test_the_document_is_openapi_3_1_and_every_reference_leads_somewhere(
    client: FlaskClient,
) -> None:
    told = client.get("/openapi.json").get_json()
    assert told["openapi"] == "3.1.0"
    known = told["components"]["schemas"]
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert names == set(known)
    for path, methods in told["paths"].items():
        for call in methods.values():
            given = {each["name"] for each in call["parameters"] if each["in"] == "path"}
            assert given == set(re.findall(r"{(\w+)}", path))
            assert {name for one in call["security"] for name in one} <= set(
                told["components"]["securitySchemes"]
            )


def test_every_example_is_of_the_shape_it_is_an_example_of() -> None:
    checked = 0
    for each in operations():
        for shape, example in [
            (each.gives, each.example),
            *((b.shape, b.example) for b in each.bodies),
        ]:
            if not isinstance(shape, dict):
                msgspec.convert(example, shape, strict=False)
                checked += 1
    assert checked > 10


def test_every_call_that_needs_a_key_says_which_scope_and_what_goes_wrong_without() -> None:
    for each in operations():
        if each.path.startswith("/v1/"):
            assert each.scope in ("usage", "feedback", "read", "manage")
            assert {401, 403, 404, 429, 500} <= set(each.statuses())


def test_every_problem_that_is_raised_is_explained() -> None:
    raised = set()
    for path in Path("app/web").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "problem",
                "Problem",
            ):
                at = 0 if getattr(node.func, "id", "") == "problem" else 1
                if len(node.args) > at and isinstance(node.args[at], ast.Constant):
                    raised.add(node.args[at].value)  # type: ignore[attr-defined]
    assert len(raised) > 10
    assert raised <= set(KINDS)


@pytest.mark.parametrize("path", ["/docs", "/docs/problems"])
def test_the_docs_are_plain_html_allowed_by_the_hash_of_their_style(
    client: FlaskClient, path: str
) -> None:
    reply = client.get(path)
    page = Page(reply.text)
    assert page.open == []
    assert reply.content_type.startswith("text/html")
    assert not {"script", "img", "iframe", "link", "form"} & set(page.tags)
    assert page.tags.count("h1") == 1
    styles = re.findall(r"<style>(.*?)</style>", reply.text, flags=re.DOTALL)
    for style in styles:
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in reply.headers["Content-Security-Policy"]
    assert len(styles) == 2
    assert "style=" not in reply.text


def test_every_link_of_the_docs_leads_somewhere(client: FlaskClient) -> None:
    pages = {path: Page(client.get(path).text) for path in ("/docs", "/docs/problems")}
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids))
        for link in page.links:
            where, _, anchor = link.partition("#")
            assert client.get(where or path).status_code == 200
            assert not anchor or anchor in pages[where or path].ids, link


def test_the_docs_show_every_call_shape_and_problem(client: FlaskClient) -> None:
    docs, problems = client.get("/docs").text, client.get("/docs/problems").text
    told = document("")
    for path, methods in told["paths"].items():
        assert path in docs
        assert all(f'id="{call["operationId"]}"' in docs for call in methods.values())
    assert all(f'id="shape-{name}"' in docs for name in told["components"]["schemas"])
    assert all(f'id="{kind}"' in problems for kind in KINDS)


def test_what_stands_between_backticks_is_code_and_no_backtick_is_left(client: FlaskClient) -> None:
    assert "<code>through</code>" in client.get("/docs").text
    assert "`" not in client.get("/docs").text + client.get("/docs/problems").text


@pytest.mark.parametrize(
    "path", ["/openapi", "/openapi/swagger", "/static/x", "/openapi/openapi.json"]
)
def test_no_route_is_there_that_is_not_ours(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_shape_that_is_read_takes_no_further_member() -> None:
    schemas: Any = document("")["components"]["schemas"]
    for name in ("UsageBody", "UsageEvent", "AnswerBody", "FeedbackBody", "FeedbackEvent"):
        assert schemas[name]["additionalProperties"] is False
        assert issubclass(getattr(shapes, name), shapes.Strict)
