"""The OpenAPI 3.1 description of the pages' data, from the list that their routes are made from."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from orchestrator.web.pages import PAGES, Page, Parameter

ADDRESS = "/openapi.json"
_REF = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "What must be, and what was got."}},
    "required": ["error"],
    "additionalProperties": False,
}
_FAILURES = {
    "400": "The query cannot be read.",
    "401": "Reading needs a log-in.",
    "404": "There is no such site, half hour, day or month.",
    "503": "The store does not answer.",
}
_ETAG = {
    "ETag": {"description": "What the data is known by.", "schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
}


@cache
def description() -> dict[str, Any]:
    """Return the description, which `openapi-spec-validator` finds nothing wrong with."""
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (page.name, "serialization", TypeAdapter(page.shows)) for page in PAGES
    ]
    found, whole = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    schemas = {**whole.get("$defs", {}), "Error": _ERROR}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yui: the pages' data",
            "version": _version(),
            "summary": "What each page of `yui web` shows, to read.",
            "description": "Energy is in Wh, prices in 0.001 JPY/kWh, money in microyen; a slot is "
            "a half hour, unix seconds // 1800. What is kept from who asks is null, or left out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"session": []}],
        "tags": [{"name": page.name, "description": page.says} for page in PAGES],
        "paths": {
            f"{page.path}.json": {"get": _operation(page, found[page.name, "serialization"])}
            for page in PAGES
        },
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {
                status: {"description": says, "content": _content({"$ref": _named("Error")})}
                for status, says in _FAILURES.items()
            },
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "yui",
                    "description": "What a log-in at /log-in sets; over TLS it is `__Host-yui`.",
                }
            },
        },
    }


def _operation(page: Page, schema: Any) -> dict[str, Any]:
    failures = {status: {"$ref": f"#/components/responses/{status}"} for status in _FAILURES}
    return {
        "operationId": page.name,
        "summary": page.says,
        "tags": [page.name],
        "parameters": [_parameter(each) for each in page.parameters],
        "responses": {
            "200": {
                "description": "What the page shows.",
                "headers": _ETAG,
                "content": _content(schema),
            },
            "304": {"description": "The same as is known (`If-None-Match`).", "headers": _ETAG},
            **failures,
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.says,
        "schema": parameter.schema,
        **({} if parameter.example is None else {"example": parameter.example}),
    }


def _content(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _named(model: str) -> str:
    return _REF.format(model=model)


def _version() -> str:
    try:
        return version("yui")
    except PackageNotFoundError:
        return "0"
