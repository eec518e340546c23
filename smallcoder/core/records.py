"""Arrow schemas of everything that passes between stages, and the ids of their rows.

A table is a folder of lz4 parquet shards (`core/tables`) with exactly one of these schemas, in this column order.
`lineage` lists the ids a record was made from, oldest first; it is empty for what was read from a source.
"""

from hashlib import blake2b

import pyarrow as pa

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
LINEAGE = pa.list_(pa.string())

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("lang", pa.string()),  # lower-case name: "python", "markdown", ...; null when unknown
        ("repo", pa.string()),
        ("revision", pa.string()),  # version of a distribution, commit of a repository
        ("path", pa.string()),  # inside the repository, "/"-separated
        ("license", pa.string()),  # SPDX expression, null when unknown
        ("source", pa.string()),  # which entry of the recipe it was read from
        ("stars", pa.int64()),  # of the repository, null when unknown
        ("forks", pa.int64()),
        ("quality", pa.float64()),  # 0 to 100, null until a stage has judged it
        ("lineage", LINEAGE),
    ]
)

EXAMPLE = pa.schema(
    [
        ("id", pa.string()),
        ("messages", MESSAGES),
        ("tools", pa.string()),  # JSON list of function schemas, or null
        ("task", pa.string()),
        ("license", pa.string()),
        ("lineage", LINEAGE),
    ]
)

PREFERENCE = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", MESSAGES),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("score_chosen", pa.float64()),
        ("score_rejected", pa.float64()),
        ("license", pa.string()),
        ("lineage", LINEAGE),
    ]
)

SCORE = pa.schema(
    [
        ("id", pa.string()),  # of the document
        ("name", pa.string()),  # of the score: "edu", "bits_per_byte", ...
        ("value", pa.float64()),
        ("label", pa.string()),
    ]
)

# Places in documents' texts: marks to be encoded as special tokens, and what makes a good middle to fill in. All spans
# of a document stand together, by their start, documents in the order of their own table.
SPAN = pa.schema(
    [
        ("id", pa.string()),  # of the document
        ("kind", pa.string()),  # "mark", or of a middle: "expression", "statement", "block", "body"
        ("start", pa.int64()),  # UTF-8 bytes
        ("end", pa.int64()),
    ]
)

PROBLEM = pa.schema(
    [
        ("id", pa.string()),
        ("benchmark", pa.string()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("entry_point", pa.string()),
        ("reference", pa.string()),  # a solution that must pass
        ("tests", pa.string()),  # JSON, in the form the benchmark's grader reads
        ("meta", pa.string()),  # JSON object
    ]
)

COMPLETION = pa.schema(
    [
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.large_string()),
        ("finish", pa.string()),  # "stop" or "length"
        ("tokens", pa.int32()),
    ]
)

VERDICT = pa.schema(
    [
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("status", pa.string()),  # passed | failed | timeout | infra
        ("reason", pa.string()),
        ("tier", pa.string()),
        ("form", pa.string()),  # values | second jail | one process
    ]
)


def with_reason(schema: pa.Schema) -> pa.Schema:
    """The schema of a `dropped/` table: the kept one's columns and the word that says why."""
    return schema.append(pa.field("reason", pa.string()))


def record_id(*parts: str | bytes | None) -> str:
    """A 128-bit content hash of the parts, as 32 hexadecimal digits. Part boundaries count; None differs from ''."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"-" if data is None else b"%d:" % len(data))
        digest.update(data or b"")
    return digest.hexdigest()
