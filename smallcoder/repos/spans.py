"""Middles for fill-in-the-middle that follow the syntax: subtrees of a file's syntax tree, as byte offsets.

AST-FIM (arXiv 2506.00204) masks complete syntactic structures where fill-in-the-middle had masked characters at random,
as edits are made of blocks, expressions and functions; SAFIM (arXiv 2403.04814) asks for such middles. The kinds:

    expression  a call, an operation, a literal with parts; no lone name or plain literal
    statement   a simple or compound statement, an import, a declaration, a whole function among them
    block       what an if, for, while, try, with, case or class encloses, with its braces where the grammar has them so
    body        what a function, method or lambda encloses, likewise

A good middle is at least `LEAST` bytes and two words or numbers, and at most `LARGEST_MIDDLE` and `SHARE` of the file;
it holds no ERROR, nothing missing, and stands in no ERROR. White space around it is left off; but where it is no
expression and begins a line, the indentation of this line belongs to it, so that the prefix ends with a line end and
all lines of the middle are indented alike: what follows "def f(x):" and a line end is "    return x + 1".

Of all good middles at most one for `EACH` bytes of text are given, but at least four and at most `MOST` a file; as many
of each kind, where there are as many, in even steps through the file. Nothing is drawn by chance. Cost: parsing and one
query, together 5 to 6 MB of Python a CPU-second. Not judged: whether a middle can be guessed, or is worth it.
"""

import re
from bisect import bisect
from collections.abc import Collection, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

from smallcoder.data.syntax import GRAMMARS, bounded, parser, unreadable
from smallcoder.repos.query import captures

KINDS = ("body", "block", "statement", "expression")  # a subtree of several kinds is of the first
LEAST = 4
LARGEST_MIDDLE = 4096
SHARE = 0.75
EACH = 512
MOST = 64
TRIED = 2  # nodes of each kind looked at, for each middle that may be given
MARGIN = 256  # of white space around a middle
TWO_WORDS = re.compile(rb"[^\w\x80-\xff]*+[\w\x80-\xff]++[^\w\x80-\xff]++[\w\x80-\xff]")

# Node types of each grammar. "a.f" is what node a has in its field f; "a/b" is a b directly in an a.
SCRIPT = {
    "expression": "array arrow_function assignment_expression augmented_assignment_expression await_expression "
    "binary_expression call_expression function_expression new_expression object subscript_expression template_string "
    "ternary_expression unary_expression yield_expression",
    "statement": "class_declaration do_statement expression_statement for_in_statement for_statement "
    "function_declaration generator_function_declaration if_statement import_statement lexical_declaration "
    "method_definition return_statement switch_statement throw_statement try_statement variable_declaration "
    "while_statement",
    "block": "class_body statement_block switch_body",
    "body": "arrow_function.body function_declaration.body function_expression.body generator_function.body "
    "generator_function_declaration.body method_definition.body",
}
TYPED = {
    "expression": SCRIPT["expression"] + " as_expression satisfies_expression",
    "statement": SCRIPT["statement"] + " enum_declaration interface_declaration type_alias_declaration",
    "block": SCRIPT["block"] + " interface_body",
    "body": SCRIPT["body"],
}
C = {
    "expression": "assignment_expression binary_expression call_expression cast_expression compound_literal_expression "
    "conditional_expression initializer_list pointer_expression sizeof_expression subscript_expression "
    "unary_expression update_expression",
    "statement": "case_statement declaration do_statement expression_statement for_statement function_definition "
    "goto_statement if_statement return_statement switch_statement type_definition while_statement",
    "block": "compound_statement field_declaration_list",
    "body": "function_definition.body",
}
NODES: dict[str, dict[str, str]] = {
    "python": {
        "expression": "await binary_operator boolean_operator call comparison_operator conditional_expression "
        "dictionary dictionary_comprehension generator_expression lambda list list_comprehension named_expression "
        "not_operator set set_comprehension subscript tuple",
        "statement": "assert_statement class_definition delete_statement expression_statement for_statement "
        "function_definition if_statement import_from_statement import_statement match_statement raise_statement "
        "return_statement try_statement while_statement with_statement",
        "block": "block",
        "body": "function_definition.body",
    },
    "java": {
        "expression": "array_access array_creation_expression array_initializer assignment_expression "
        "binary_expression cast_expression instanceof_expression lambda_expression method_invocation method_reference "
        "object_creation_expression switch_expression ternary_expression unary_expression",
        "statement": "assert_statement class_declaration constructor_declaration do_statement enhanced_for_statement "
        "expression_statement field_declaration for_statement if_statement import_declaration "
        "local_variable_declaration method_declaration return_statement synchronized_statement throw_statement "
        "try_statement try_with_resources_statement while_statement yield_statement",
        "block": "block class_body switch_block",
        "body": "constructor_declaration.body lambda_expression.body method_declaration.body",
    },
    "javascript": SCRIPT,
    "typescript": TYPED,
    "tsx": TYPED,
    "go": {
        "expression": "binary_expression call_expression composite_literal func_literal index_expression "
        "slice_expression type_assertion_expression unary_expression",
        "statement": "assignment_statement const_declaration defer_statement expression_statement "
        "expression_switch_statement for_statement function_declaration go_statement if_statement import_declaration "
        "inc_statement method_declaration return_statement select_statement send_statement short_var_declaration "
        "type_declaration type_switch_statement var_declaration",
        "block": "block field_declaration_list",
        "body": "func_literal.body function_declaration.body method_declaration.body",
    },
    "rust": {
        "expression": "array_expression assignment_expression await_expression binary_expression call_expression "
        "closure_expression compound_assignment_expr for_expression if_expression index_expression macro_invocation "
        "match_expression range_expression reference_expression return_expression struct_expression try_expression "
        "tuple_expression type_cast_expression unary_expression while_expression",
        "statement": "const_item enum_item expression_statement function_item let_declaration static_item struct_item "
        "use_declaration",
        "block": "block declaration_list match_block",
        "body": "closure_expression.body function_item.body",
    },
    "c": C,
    "cpp": {
        "expression": C["expression"] + " co_await_expression delete_expression lambda_expression new_expression",
        "statement": C["statement"]
        + " alias_declaration for_range_loop throw_statement try_statement using_declaration",
        "block": C["block"],
        "body": "function_definition.body lambda_expression.body",
    },
    "csharp": {
        "expression": "anonymous_object_creation_expression array_creation_expression assignment_expression "
        "await_expression binary_expression cast_expression conditional_access_expression conditional_expression "
        "element_access_expression implicit_object_creation_expression initializer_expression "
        "interpolated_string_expression invocation_expression is_pattern_expression lambda_expression "
        "object_creation_expression prefix_unary_expression query_expression switch_expression",
        "statement": "class_declaration constructor_declaration do_statement expression_statement field_declaration "
        "for_statement foreach_statement if_statement local_declaration_statement local_function_statement "
        "lock_statement method_declaration property_declaration return_statement switch_statement throw_statement "
        "try_statement using_directive using_statement while_statement yield_statement",
        "block": "block declaration_list switch_body",
        "body": "accessor_declaration.body constructor_declaration.body lambda_expression.body "
        "local_function_statement.body method_declaration.body",
    },
    "php": {
        "expression": "anonymous_function array_creation_expression arrow_function assignment_expression "
        "augmented_assignment_expression binary_expression cast_expression conditional_expression encapsed_string "
        "function_call_expression match_expression member_call_expression nullsafe_member_call_expression "
        "object_creation_expression scoped_call_expression subscript_expression unary_op_expression",
        "statement": "class_declaration const_declaration do_statement echo_statement expression_statement "
        "for_statement foreach_statement function_definition if_statement method_declaration namespace_use_declaration "
        "property_declaration return_statement switch_statement try_statement unset_statement while_statement",
        "block": "colon_block compound_statement declaration_list match_block switch_block",
        "body": "anonymous_function.body arrow_function.body function_definition.body method_declaration.body",
    },
    "ruby": {
        "expression": "array binary call conditional element_reference hash lambda range string_array unary yield",
        "statement": "assignment begin block_body/call body_statement/call case case_match class for if if_modifier "
        "method operator_assignment program/call rescue_modifier return singleton_method then/call unless "
        "unless_modifier until while",
        "block": "block class.body do do_block else then",
        "body": "method.body singleton_method.body",
    },
    "kotlin": {
        "expression": "additive_expression anonymous_function as_expression call_expression check_expression "
        "collection_literal comparison_expression conjunction_expression disjunction_expression elvis_expression "
        "equality_expression if_expression indexing_expression infix_expression jump_expression lambda_literal "
        "multiplicative_expression object_literal prefix_expression range_expression try_expression when_expression",
        "statement": "assignment class_declaration do_while_statement for_statement function_declaration import_header "
        "property_declaration statements/call_expression statements/if_expression statements/jump_expression "
        "statements/try_expression statements/when_expression while_statement",
        "block": "class_body control_structure_body",
        "body": "function_body",
    },
    "scala": {
        "expression": "ascription_expression assignment_expression call_expression for_expression "
        "generic_function if_expression infix_expression instance_expression interpolated_string_expression "
        "lambda_expression match_expression prefix_expression throw_expression try_expression tuple_expression",
        "statement": "block/assignment_expression block/call_expression block/if_expression block/match_expression "
        "class_definition function_definition import_declaration object_definition template_body/call_expression "
        "trait_definition type_definition val_definition var_definition while_expression",
        "block": "block case_block indented_block template_body",
        "body": "function_definition.body",
    },
    "swift": {
        "expression": "additive_expression array_literal as_expression await_expression call_expression "
        "check_expression comparison_expression conjunction_expression constructor_expression dictionary_literal "
        "disjunction_expression equality_expression infix_expression lambda_literal multiplicative_expression "
        "nil_coalescing_expression prefix_expression range_expression ternary_expression try_expression "
        "tuple_expression",
        "statement": "assignment class_declaration control_transfer_statement do_statement for_statement "
        "function_declaration guard_statement if_statement import_declaration init_declaration property_declaration "
        "repeat_while_statement statements/await_expression statements/call_expression statements/try_expression "
        "switch_statement while_statement",
        "block": "catch_block/statements class_body do_statement/statements for_statement/statements "
        "guard_statement/statements if_statement/statements lambda_literal/statements "
        "repeat_while_statement/statements switch_entry/statements while_statement/statements",
        "body": "function_body",
    },
    "lua": {
        "expression": "binary_expression bracket_index_expression function_call function_definition table_constructor "
        "unary_expression",
        "statement": "block/assignment_statement block/function_call chunk/assignment_statement chunk/function_call "
        "do_statement for_statement function_declaration if_statement repeat_statement return_statement "
        "variable_declaration while_statement",
        "block": "block",
        "body": "function_declaration.body function_definition.body",
    },
    "dart": {
        "expression": "additive_expression assignment_expression await_expression conditional_expression "
        "const_object_expression equality_expression function_expression if_null_expression list_literal "
        "logical_and_expression logical_or_expression multiplicative_expression new_expression record_literal "
        "relational_expression set_or_map_literal switch_expression throw_expression type_cast_expression "
        "type_test_expression unary_expression",
        "statement": "assert_statement class_definition do_statement expression_statement for_statement if_statement "
        "import_or_export local_function_declaration local_variable_declaration return_statement switch_statement "
        "try_statement while_statement yield_statement",
        "block": "block class_body switch_block",
        "body": "function_body function_expression_body",
    },
}  # fmt: skip
WIDER = {"typescript": "tsx"}  # a grammar for texts that the first one has errors in


class Span(NamedTuple):
    """A subtree's kind and its place in the text, in bytes."""

    kind: str
    start: int
    end: int


def spans(text: bytes, lang: str | None) -> list[Span]:
    """Good middles of a UTF-8 text by their start; none for a language not in `NODES` or a text that is not parsed."""
    if lang not in NODES or unreadable(text):
        return []
    grammar, root = lang, bounded(parser(lang), text)
    if lang in WIDER and root is not None and root.has_error:
        grammar, root = WIDER[lang], bounded(parser(WIDER[lang]), text)
    if root is None:
        return []
    found = captures(root, GRAMMARS.get(grammar, grammar), query(grammar))
    errors = _Errors(found.get("error", ()))
    bodies = {node.id for node in found.get("body", ())}
    found["block"] = [node for node in found.get("block", ()) if node.id not in bodies]
    most = min(MOST, max(len(KINDS), len(text) // EACH))
    good: dict[str, list[Span]] = {}
    taken: set[tuple[int, int]] = set()
    for kind in KINDS:
        nodes = _nodes(found, NODES[grammar][kind].split(), kind, TRIED * most)
        places = (_place(text, kind, node, errors) for node in nodes if kind == "body" or node.id not in bodies)
        good[kind] = [Span(kind, *place) for place in dict.fromkeys(places) if place and place not in taken]
        taken.update(span[1:] for span in good[kind])
    picked: list[Span] = []
    for left, kind in zip(range(len(KINDS), 0, -1), sorted(KINDS, key=lambda kind: len(good[kind])), strict=True):
        picked += _even(good[kind], -(-(most - len(picked)) // left))
    return sorted(picked, key=lambda span: span[1:])


@cache
def query(lang: str) -> str:
    """tree-sitter's query for all kinds of a language, and for errors.

    Of an "a/b" it captures the a: a pattern for both would be open in every a around a node, as many as it lies deep.
    """
    patterns = ["(ERROR) @error"]
    for kind, nodes in NODES[lang].items():
        words = nodes.split()
        fields = [word.split(".") for word in words if "." in word]
        patterns += [f"({name} {field}: (_) @{kind})" for name, field in fields]
        patterns += [f"({name}) @{kind}" for name in words if "." not in name and "/" not in name]
        patterns += [
            f"({name}) @{kind}.outer" for name in sorted({word.split("/")[0] for word in words if "/" in word})
        ]
    return "\n".join(patterns)


def _nodes(found: dict[str, list[Any]], types: Collection[str], kind: str, most: int) -> Sequence[Any]:
    """At most so many nodes of a kind, through the whole tree."""
    nodes = list(_even(found.get(kind, ()), most))
    for outer in _even(found.get(f"{kind}.outer", ()), most):
        inner = [child for child in outer.named_children if f"{outer.type}/{child.type}" in types]
        nodes += _even(inner, most)
    return _even(sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte)), most)


class _Errors:
    """The ERROR nodes of a tree."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self._starts = [node.start_byte for node in nodes]
        self._ends = list(accumulate((node.end_byte for node in nodes), max))

    def hold(self, start: int, end: int) -> bool:
        at = bisect(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end


def _place(text: bytes, kind: str, node: Any, errors: _Errors) -> tuple[int, int] | None:
    """Start and end of a good middle; None for a node that makes none."""
    start, end = node.start_byte, node.end_byte
    if end - start > LARGEST_MIDDLE + MARGIN or node.has_error or errors.hold(start, end):
        return None
    said = text[start:end]
    start, end = end - len(said.lstrip()), start + len(said.rstrip())
    if end - start < LEAST or not TWO_WORDS.match(text, start, end):
        return None
    if kind != "expression":
        line = text.rfind(b"\n", 0, start) + 1
        start = line if text[line:start].isspace() else start
    size = end - start
    return (start, end) if size <= LARGEST_MIDDLE and size <= SHARE * len(text) else None


def _even(items: Sequence[Any], count: int) -> Sequence[Any]:
    """At most `count` of the items, in even steps."""
    size = len(items)
    return items if size <= count else [items[(2 * at + 1) * size // (2 * count)] for at in range(count)]
