"""Layers of a graph of steps, and where in its layer each step lies.

Layers are longest paths; arrows that follow from others are left out. Within a layer the order and
the places come from the neighbours (barycentres, then least squares with a smallest distance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

_SWEEPS = 8
_ROUNDS = 120


def arrange(needs: Mapping[str, Sequence[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Layers of names, and each arrow as the names it passes.

    An arrow that crosses a layer passes a made-up name there, ``FROM>TO@LAYER``.
    """
    before = {name: [n for n in found if n in needs] for name, found in needs.items()}
    level, ancestors = _levels(before)
    layers: list[list[str]] = [[] for _ in range(max(level.values(), default=0) + 1)]
    for name in needs:
        layers[level[name]].append(name)
    links: list[list[str]] = []
    for name in needs:
        direct = [n for n in before[name] if level[n] < level[name]]
        for other in direct:
            if any(other in ancestors[n] for n in direct):
                continue  # it follows from another arrow
            link = [other]
            for layer in range(level[other] + 1, level[name]):
                link.append(f"{other}>{name}@{layer}")
                layers[layer].append(link[-1])
            links.append([*link, name])
    return _ordered(layers, links), links


def _levels(before: Mapping[str, Sequence[str]]) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Layer and ancestors of each name. Names come in an order they could run in."""
    level: dict[str, int] = {}
    ancestors: dict[str, set[str]] = {}
    for name, found in before.items():
        known = [n for n in found if n in level]
        level[name] = max((level[n] + 1 for n in known), default=0)
        ancestors[name] = set(known).union(*(ancestors[n] for n in known))
    for name, found in before.items():  # what needs nothing moves up to those who need it
        after = [level[n] for n, theirs in before.items() if name in theirs]
        if not found and after:
            level[name] = min(after) - 1
    return level, ancestors


def _ordered(layers: list[list[str]], links: list[list[str]]) -> list[list[str]]:
    """Order every layer by the middle of its neighbours, back and forth a few times."""
    beside = _neighbours(links)
    place = {name: float(i) for layer in layers for i, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wish = {
                name: sum(place[n] for n in beside[name]) / len(beside[name])
                if beside.get(name)
                else place[name]
                for name in layer
            }
            layer.sort(key=lambda name: wish[name])
            place.update({name: i - (len(layer) - 1) / 2 for i, name in enumerate(layer)})
    return layers


def _neighbours(links: list[list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for link in links:
        for one, other in pairwise(link):
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


def spread(
    layers: list[list[str]],
    links: list[list[str]],
    share: Callable[[str], float],
    gap: float,
    centre: float = 1e-3,
) -> dict[str, float]:
    """The middle of each name across its layer: near its neighbours, and never nearer than ``gap``.

    ``share`` is the room that a name takes; ``centre`` is how strongly everything is pulled to the
    middle, beside 1 for each neighbour.
    """
    beside = _neighbours(links)
    bends = {name for link in links for name in link[1:-1]}
    places: dict[str, float] = {}
    offsets: dict[str, float] = {}
    for layer in layers:
        at = 0.0
        for before, name in zip(["", *layer], layer, strict=False):
            if before:
                between = gap / 2 if before in bends and name in bends else gap
                at += (share(before) + share(name)) / 2 + between
            offsets[name] = at
        places.update({name: offsets[name] - at / 2 for name in layer})
    for round_ in range(_ROUNDS):
        for layer in layers if round_ % 2 == 0 else layers[::-1]:
            pulls = [
                {other: 4.0 ** ((name in bends) + (other in bends)) for other in beside[name]}
                if name in beside
                else {name: 1e-6}
                for name in layer
            ]
            weights = [centre + sum(pull.values()) for pull in pulls]
            wishes = [
                sum(places[other] * strength for other, strength in pull.items()) / weight
                for pull, weight in zip(pulls, weights, strict=True)
            ]
            free = [wish - offsets[name] for wish, name in zip(wishes, layer, strict=True)]
            for name, found in zip(layer, _rising(free, weights), strict=True):
                places[name] = found + offsets[name]
    return places


def _rising(wishes: list[float], weights: list[float]) -> list[float]:
    """The numbers that never fall and lie nearest to ``wishes``, by weighted least squares."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, weight in zip(wishes, weights, strict=True):
        mean, total, count = wish, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, heavy, many = blocks.pop()
            mean = (mean * total + other * heavy) / (total + heavy)
            total, count = total + heavy, count + many
        blocks.append((mean, total, count))
    return [mean for mean, _, count in blocks for _ in range(count)]
