"""Checks the description of a running server as programs read it, and the server's answers against it.

Usage: check.py URL KEY APP. Prints a line for each fault.
"""

import json
import sys
import urllib.error
import urllib.request
from importlib.resources import files

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

URL, KEY, APP = sys.argv[1:4]
EXAMPLE_APP = "00dc3cf6-1763-5d5b-8264-db458aa346c3"
JSON = "application/json"
faults = []


def ask(method, path, headers, body=None):
    request = urllib.request.Request(URL + path, method=method, data=body, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


document = json.loads(ask("GET", "/openapi.json", {})[2])

# The document as a whole.
own_schema = json.loads((files("openapi_spec_validator") / "resources/schemas/v3.1/schema.json").read_text())
for error in Draft202012Validator(own_schema).iter_errors(document):
    faults.append(f"the specification's schema: {error.json_path}: {error.message[:300]}")
for error in OpenAPIV31SpecValidator(document).iter_errors():
    faults.append(f"openapi-spec-validator: {str(error)[:300]}")

registry = Registry().with_resource("urn:document", DRAFT202012.create_resource(document))


def pointer(*steps):
    return "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def fits(what, value, *place):
    schema = {"$ref": f"urn:document#/{pointer(*place)}"}
    for error in Draft202012Validator(schema, registry=registry).iter_errors(value):
        faults.append(f"{what}: {error.json_path}: {error.message[:300]}")


def resolved(value):
    while "$ref" in value:
        value, steps = document, value["$ref"].removeprefix("#/").split("/")
        for step in steps:
            value = value[step.replace("~1", "/").replace("~0", "~")]
    return value


def described(what, thing):
    if not thing.get("description"):
        faults.append(f"{what} has no description")


# Schemas: every member says what it is, and every example and default is one.
for name, schema in document["components"]["schemas"].items():
    described(name, schema)
    for member, inner in schema.get("properties", {}).items():
        described(f"{name}.{member}", inner)
        for kind in ["example", "default"]:
            if kind in inner:
                fits(f"the {kind} of {name}.{member}", inner[kind], "components", "schemas", name, "properties", member)
for name, header in document["components"]["headers"].items():
    described(name, header)
    fits(f"the example of {name}", header["example"], "components", "headers", name, "schema")

ids = []
for path, methods in document["paths"].items():
    for method, operation in methods.items():
        what = f"{method.upper()} {path}"
        here = ("paths", path, method)
        ids.append(operation["operationId"])
        for member in ["summary", "tags"]:
            if not operation.get(member):
                faults.append(f"{what} has no {member}")
        for index, parameter in enumerate(operation.get("parameters", [])):
            described(f"{what}: {parameter['name']}", parameter)
            fits(f"{what}: the example of {parameter['name']}", parameter["example"], *here, "parameters", index, "schema")
        body = operation.get("requestBody", {}).get("content", {})
        if JSON in body:
            fits(f"{what}: the body's example", body[JSON]["example"], *here, "requestBody", "content", JSON, "schema")
        for status, response in operation["responses"].items():
            described(f"{what}: {status}", response)
            for name, header in response["headers"].items():
                described(f"{what}: {status}: {name}", resolved(header))
            if JSON not in response["content"]:
                faults.append(f"{what}: {status} has no JSON")
                continue
            place = (*here, "responses", status, "content", JSON, "schema")
            fits(f"{what}: the example of {status}", response["content"][JSON]["example"], *place)
for name in {name for name in ids if ids.count(name) > 1}:
    faults.append(f"the operation id {name} is there more than once")


# The server's answers.
def answered(what, here, operation, answer):
    status, headers, body = answer
    response = operation["responses"].get(str(status))
    if response is None:
        return faults.append(f"{what} answers {status}, which is not described: {body[:200]}")
    for name in response["headers"]:
        if name in headers or name.startswith("x-sentry"):
            continue
        faults.append(f"{what}: the answer {status} has no {name}")
    fits(f"{what}: the answer {status}", json.loads(body), *here, "responses", status, "content", JSON, "schema")
    return None


def real(text):
    return text.replace(EXAMPLE_APP, APP).replace(EXAMPLE_APP.replace("-", ""), APP.replace("-", ""))


for path, methods in document["paths"].items():
    for method, operation in methods.items():
        what, here = f"{method.upper()} {path}", ("paths", path, method)
        query = []
        for parameter in operation.get("parameters", []):
            example = str(parameter["example"])
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", example)
            elif parameter["in"] == "query" and parameter["required"]:
                query.append(f"{parameter['name']}={example}")
        asked = real(path + ("?" + "&".join(query) if query else ""))
        headers = {"authorization": f"Bearer {KEY}"} if "security" in operation else {}
        body = None
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if "example" in content:
                example = content["example"]
                body = real(example if isinstance(example, str) else json.dumps(example)).encode()
                headers["content-type"] = media_type
                break
        answered(what, here, operation, ask(method.upper(), asked, headers, body))
        # What is wrong is answered as described too.
        if body is not None:
            answered(f"{what} with half a body", here, operation, ask(method.upper(), asked, headers, b"{"))
        elif query:
            answered(f"{what} without parameters", here, operation, ask(method.upper(), path, headers))
        if "security" in operation:
            headers.pop("authorization")
            answer = ask(method.upper(), asked, headers, body)
            answered(f"{what} without a key", here, operation, answer)
            if json.loads(answer[2]) != operation["responses"]["401"]["content"][JSON]["example"]:
                faults.append(f"{what} without a key is not answered as in the example: {answer[2]}")

print("\n".join(faults))
