"""Stage `decontaminate`: drops documents that hold a problem on which the model will be graded, and says which.

A document goes if it shares long n-grams of prose with a prompt, repeats a short prompt or solution word for word, or
holds the code of a solution under whatever names (`passages` has the rules, their numbers and sources; `lexer` what is
compared; `telling` which n-grams say anything; `kernels` the search). With the input `model`, also if it means nearly
the same (`meaning`). out/hits names benchmark and problem of every hit.
`measure` plants known cases and reports precision, recall and F1.

Input: any table of problems, drills or public ones (`bench/public`). Cost: see docs/performance.md; 50 bytes of memory
for each n-gram of a passage and each worker; `workers` are threads. It does not find: paraphrases and translations of
code without its prose (unless by `meaning`), edits in every other line, solutions under 40 tokens with other names
within a longer document, or code that stands inside of string literals.
"""

from smallcoder.data.decontaminate.stage import Config, as_filter

__all__ = ["Config", "as_filter"]
