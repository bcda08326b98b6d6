"""Which ONNX files riskd is willing to hand to the runtime: a walk over the file that allows, never one that forbids.

onnxruntime, given bytes, still reads external-data files that a model names, and runs any operator it knows. So every
protobuf field of the file must be on the list below (field numbers of onnx.proto, ONNX IR 10); whatever is not listed,
subgraphs, functions, external data and training info among it, is refused. The walk needs no onnx package.
"""

from collections.abc import Iterator, Mapping

from riskd.errors import ModelError

ALLOWED_OPERATORS = frozenset({("ai.onnx.ml", "TreeEnsembleRegressor"), ("", "Mul"), ("", "Exp")})
"""(domain, operator): one forest, then 2^(-depth / c) as Exp(Mul(…))."""

Fields = Mapping[int, "Fields | None"]
"""Field number → the fields of the message in it, or None for a plain value."""

_TENSOR: Fields = {1: None, 2: None, 4: None, 8: None, 9: None}  # dims, data_type, float_data, name, raw_data
_ATTRIBUTE: Fields = {1: None, 2: None, 3: None, 4: None, 7: None, 8: None, 9: None, 20: None}  # scalars and lists
_NODE: Fields = {1: None, 2: None, 3: None, 4: None, 5: _ATTRIBUTE, 7: None}
_DIMENSION: Fields = {1: None, 2: None}
_TENSOR_TYPE: Fields = {1: None, 2: {1: _DIMENSION}}
_VALUE_INFO: Fields = {1: None, 2: {1: _TENSOR_TYPE}}
_GRAPH: Fields = {1: _NODE, 2: None, 5: _TENSOR, 11: _VALUE_INFO, 12: _VALUE_INFO}
_MODEL: Fields = {1: None, 2: None, 3: None, 4: None, 5: None, 7: _GRAPH, 8: {1: None, 2: None}}

_GRAPH_FIELD, _NODE_FIELD, _OP_TYPE_FIELD, _DOMAIN_FIELD = 7, 1, 4, 7
_TEXT_FIELDS = frozenset({_OP_TYPE_FIELD, _DOMAIN_FIELD})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_NODES = 8


def check_operators(model: bytes, source: str) -> None:
    """Raise ModelError unless every field and operator of the ONNX file is allowed; `source` names the file."""
    try:
        _check(memoryview(model), _MODEL, "model")
        operators = list(_operators(memoryview(model)))
    except ValueError as error:
        raise ModelError(f"{source}: not an ONNX file that riskd runs: {error}") from error
    if not 0 < len(operators) <= _MAX_NODES:
        raise ModelError(f"{source}: holds {len(operators)} operators, expected 1 to {_MAX_NODES}")
    for operator in operators:
        if operator not in ALLOWED_OPERATORS:
            raise ModelError(f"{source}: operator {'.'.join(filter(None, operator))!r} is not allowed")


def _check(message: memoryview, allowed: Fields, where: str) -> None:
    for number, wire_type, value in _fields(message):
        if number not in allowed:
            raise ValueError(f"field {number} in {where} is not allowed")
        inner = allowed[number]
        if inner is None:
            continue
        if wire_type != _BYTES:
            raise ValueError(f"field {number} in {where} is no message")
        _check(value, inner, f"{where}.{number}")


def _operators(model: memoryview) -> Iterator[tuple[str, str]]:
    for number, _, graph in _fields(model):
        if number != _GRAPH_FIELD:
            continue
        for inner, _, node in _fields(graph):
            if inner != _NODE_FIELD:
                continue
            # Like a protobuf parser: of a field that comes twice, the last counts.
            texts = {
                field: str(value, "utf-8") for field, kind, value in _fields(node) if kind == _BYTES and field in {4, 7}
            }
            domain = texts.get(_DOMAIN_FIELD, "")
            yield ("" if domain == "ai.onnx" else domain, texts.get(_OP_TYPE_FIELD, ""))


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield (field number, wire type, value) of one protobuf message; raises ValueError where it is damaged."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        start = at
        if wire_type == _VARINT:
            _, at = _varint(message, at)
        elif wire_type == _FIXED64:
            at += 8
        elif wire_type == _FIXED32:
            at += 4
        elif wire_type == _BYTES:
            length, start = _varint(message, at)
            at = start + length
        else:
            raise ValueError(f"wire type {wire_type}")
        if at > end:
            raise ValueError("the file is cut off")
        yield number, wire_type, message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("the file is cut off")
        byte = message[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise ValueError("a number is too long")
