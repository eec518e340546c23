"""Mutated solutions for parity checks: each has one fault, drawn by a fixed seed."""

import ast
import random
from collections.abc import Iterator

SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Div, ast.Div: ast.FloorDiv,
    ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
KINDS = ("operator", "off by one", "no return", "exception", "negated", "type", "slow", "exit", "text", "recursion")
SLOW = "while True: pass"


def mutants(code: str, name: str, count: int, seed: int, slow: bool) -> Iterator[tuple[str, str]]:
    """Up to `count` different (kind, source) of a program whose function is `name`; `slow` ones loop for ever."""
    draw = random.Random(f"{seed}{code}")
    seen = {ast.unparse(ast.parse(code))}
    kinds = [kind for kind in KINDS if slow or kind != "slow"]
    for turn in range(20 * count):
        kind = kinds[turn % len(kinds)]
        tree = ast.parse(code)
        function = next((n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name), None)
        if function is None or not _mutate(kind, function, draw):
            continue
        source = ast.unparse(ast.fix_missing_locations(tree))
        if source not in seen:
            seen.add(source)
            yield kind, source
        if len(seen) > count:
            return


def _mutate(kind: str, function: ast.FunctionDef, draw: random.Random) -> bool:
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    returns = [node for node in nodes if isinstance(node, ast.Return) and node.value]
    ints = [node for node in nodes if isinstance(node, ast.Constant) and type(node.value) is int]
    swaps = [node for node in nodes if type(getattr(node, "op", None)) in SWAPS]
    swaps += [node for node in nodes if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS]
    tests = [node for node in nodes if isinstance(node, (ast.If, ast.While, ast.IfExp))]
    if kind == "operator" and swaps:
        node = draw.choice(swaps)
        if isinstance(node, ast.Compare):
            node.ops[0] = SWAPS[type(node.ops[0])]()
        else:
            node.op = SWAPS[type(node.op)]()  # pyright: ignore[reportAttributeAccessIssue]
    elif kind == "off by one" and ints:
        node = draw.choice(ints)
        assert isinstance(node.value, int)
        node.value += draw.choice((-1, 1))
    elif kind == "no return" and returns:
        draw.choice(returns).value = None
    elif kind == "negated" and tests:
        node = draw.choice(tests)
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif kind in ("type", "text") and returns:
        node = draw.choice(returns)
        wrap = draw.choice(("tuple", "list", "float", "int", "str", "bool", "repr", "iter", "set", "sorted"))
        node.value = ast.Call(ast.Name(wrap), [node.value or ast.Constant(None)], [])
    elif kind in ("exception", "slow", "exit", "recursion"):
        call = f"return {function.name}({', '.join(a.arg for a in function.args.args)})"
        lines = {"exception": "raise ValueError('x')", "slow": SLOW, "exit": "raise SystemExit(0)", "recursion": call}
        function.body.insert(draw.randrange(len(function.body) + 1), ast.parse(lines[kind]).body[0])
    else:
        return False
    return True
