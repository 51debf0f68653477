"""The document as JSON, and the same for people: plain HTML, without a script."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, render_template
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from app.web.api.bodies import JSON
from app.web.api.document import TAGS, document
from app.web.problems import KINDS

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a shape, in words."""

    name: str
    kind: str
    required: bool
    says: str


@dataclass(frozen=True, slots=True)
class Docs:
    """The pages of the docs, made once of the document; `path` stands before their addresses."""

    told: Mapping[str, Any]
    path: str

    def register(self, app: Flask) -> None:
        """Serve the docs on an application."""
        app.add_url_rule("/openapi.json", "openapi", self.openapi)
        app.add_url_rule("/docs", "docs", self.docs)
        app.add_url_rule("/docs/problems", "docs_problems", self.problems)

    def openapi(self) -> ResponseReturnValue:
        """Give the document."""
        return Response(json.dumps(self.told), mimetype=JSON)

    def docs(self) -> ResponseReturnValue:
        """Show every call."""
        groups = [(name, says, list(self._calls(name))) for name, says in TAGS.items()]
        return render_template(
            "docs.html",
            about=self.told["info"]["description"],
            coded=coded,
            groups=groups,
            shapes=self._shapes(),
            schemes=self.told["components"]["securitySchemes"],
            path=self.path,
        )

    def problems(self) -> ResponseReturnValue:
        """Explain every type of problem."""
        return render_template("docs_problems.html", kinds=KINDS, path=self.path, coded=coded)

    def _calls(self, tag: str) -> Iterator[dict[str, Any]]:
        for path, methods in self.told["paths"].items():
            for method, call in methods.items():
                if call["tags"] == [tag]:
                    yield self._call(path, method, call)

    def _call(self, path: str, method: str, call: Mapping[str, Any]) -> dict[str, Any]:
        responses = call["responses"]
        problems = {status: told for status, told in responses.items() if status != "200"}
        return {
            "id": call["operationId"],
            "path": path,
            "method": method.upper(),
            "summary": call["summary"],
            "says": call["description"],
            "scope": call.get("x-scope"),
            "parameters": [_parameter(each) for each in call["parameters"]],
            "bodies": [_content(*each) for each in _contents(call.get("requestBody", {}))],
            "given": [_content(*each) for each in _contents(responses["200"])],
            "problems": [(status, told["x-problems"]) for status, told in problems.items()],
        }

    def _shapes(self) -> list[tuple[str, str, list[Field]]]:
        schemas = self.told["components"]["schemas"]
        return [
            (name, schema["description"], list(_fields(schema)))
            for name, schema in sorted(schemas.items())
        ]


def _contents(told: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(told.get("content", {}).items())


def _content(kind: str, told: Mapping[str, Any]) -> dict[str, Any]:
    example = told["example"]
    text = example if isinstance(example, str) else json.dumps(example, indent=2)
    reference = told["schema"].get("$ref") or told["schema"].get("items", {}).get("$ref", "")
    return {"kind": kind, "example": text, "shape": reference.rpartition("/")[2]}


def _parameter(each: Mapping[str, Any]) -> Field:
    kind = f"{_kind(each['schema'])}, in the {each['in']}"
    return Field(each["name"], kind, each["required"], each["description"])


def _fields(schema: Schema) -> Iterator[Field]:
    for name, each in schema.get("properties", {}).items():
        says = each.get("description", "")
        if not says:
            says = next((one["description"] for one in _some(each) if "description" in one), "")
        yield Field(name, _kind(each), name in schema["required"], says)


def _some(schema: Schema) -> list[Schema]:
    found: list[Schema] = schema.get("anyOf", [schema])
    return found


def _kind(schema: Schema) -> str:
    """Say in words what a schema takes."""
    return " or ".join(_one_kind(each) for each in _some(schema))


def _one_kind(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {_kind(schema['items'])}{most}"
    if "maxLength" in schema:
        return f"{kind} of at most {schema['maxLength']} characters"
    return str(schema.get("format", kind))


def coded(text: str) -> Markup:
    """Give a text with what stands between backticks as code."""
    parts = [
        Markup("<code>{}</code>" if at % 2 else "{}").format(part)  # noqa: S704 - our own
        for at, part in enumerate(text.split("`"))
    ]
    return Markup().join(parts)


def register_docs(app: Flask, base_url: str, path: str) -> None:
    """Serve the document and the pages on an application that people reach at `base_url`."""
    Docs(document(base_url), path).register(app)
