"""Requests that are like others but for what they say themselves; pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from riskd.app.cases.past import Tree
from riskd.policy.text import Path as Keys


class Layer(NamedTuple):
    """Part of a request, and where in the file it stands."""

    path: Keys
    tree: Tree


def whole(layers: Iterable[Layer]) -> Tree:
    """Lay requests over each other; what stands on top holds, and null takes away."""
    merged: Tree = {}
    for layer in reversed(tuple(layers)):
        merged = _over(merged, layer.tree)
    return merged


def _over(beneath: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    merged = dict(beneath)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            under = merged.get(key)
            merged[key] = _over(under if isinstance(under, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def home(layers: tuple[Layer, ...], keys: Keys) -> Keys:
    """Return where in the file a place of the whole request stands: in the layer that has most of the way to it."""
    layer = max(layers, key=lambda layer: _depth(layer.tree, keys))
    return (*layer.path, *keys)


def _depth(tree: Any, keys: Keys) -> int:  # noqa: ANN401 - what YAML holds
    for depth, key in enumerate(keys):
        named = isinstance(tree, dict) and key in tree
        if not named and not (isinstance(tree, list) and isinstance(key, int) and key < len(tree)):
            return depth
        tree = tree[key]
    return len(keys)
