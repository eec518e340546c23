"""Licences: which SPDX expression a package, a repository or a file states, and whether a policy lets it in.

Each way to learn one has its module: `expressions` (SPDX), `declared` (metadata fields), `texts` (LICENSE files and the
headers of single files), `scan` (what only scancode can tell). `policy` decides, and `stage` does so for a table.
"""

from smallcoder.data.licenses.declared import package_license
from smallcoder.data.licenses.expressions import all_of, normal_form
from smallcoder.data.licenses.texts import license_of_files, license_of_text

__all__ = ["all_of", "license_of_files", "license_of_text", "normal_form", "package_license"]
