"""Redaction: `stage` feeds documents, `anchors` finds where to look, `patterns` and `detect` say what is a secret, and
`harmless` what only looks like one; `redactor` puts placeholders in their place."""
