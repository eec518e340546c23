"""What secrets look like: the tokens of known services, and the patterns for everything else. All on UTF-8 bytes.

`TOKENS` is the table of services. A token is a prefix at the start of a word and a pattern of what follows; the kernel
in `anchors` looks for the prefix and for enough token characters behind it, so a pattern runs only where it may match.
Formats are those that the services publish, checked against the rules of gitleaks 8 and of detect-secrets 1.5.

Not here: tokens without a form of their own (Heroku, Discord's old ones, Twilio's auth tokens): they are found by the
name that they are assigned to.
"""

import re
from dataclasses import dataclass

HEX = b"0123456789abcdef"


@dataclass(frozen=True)
class Token:
    """`least` is the fewest bytes after the prefix; `body` must match right there and end at a word's end."""

    service: str
    prefix: bytes
    least: int
    body: bytes

    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(re.escape(self.prefix) + self.body + rb"(?![A-Za-z0-9_])")


def _each(service: str, prefixes: list[bytes], least: int, body: bytes) -> list[Token]:
    return [Token(service, prefix, least, body) for prefix in prefixes]


def split(words: str) -> list[bytes]:
    """The words as bytes."""
    return [word.encode() for word in words.split()]


TOKENS: tuple[Token, ...] = (
    *_each("aws", split("AKIA ASIA ABIA ACCA"), 16, rb"[A-Z2-7]{16}"),
    *_each("github", split("ghp_ gho_ ghu_ ghs_ ghr_"), 36, rb"[A-Za-z0-9]{36,255}"),
    Token("github", b"github_pat_", 82, rb"[A-Za-z0-9_]{82}"),
    *_each("gitlab", split("glpat- gldt- glrt- glptt- glcbt- glsoat- glft-"), 20, rb"[\w.-]{20,300}"),
    *_each("slack", split("xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-"), 20, rb"[A-Za-z0-9-]{20,200}"),
    Token("slack", b"xoxe.xox", 20, rb"[bp]-[A-Za-z0-9-]{20,250}"),
    Token("slack", b"xapp-", 20, rb"\d-[A-Z0-9]+-\d+-[a-z0-9]+"),
    Token("slack", b"hooks.slack.com/", 40, rb"(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60}"),
    *_each("discord", split("discord.com/api/ discordapp.com/api/"), 60, rb"webhooks/\d{17,20}/[\w-]{60,80}"),
    Token("google", b"AIza", 35, rb"[\w-]{35}"),
    Token("google", b"GOCSPX-", 28, rb"[\w-]{28}"),
    Token("google", b"ya29.", 20, rb"[\w-]{20,400}"),
    *_each("stripe", split("sk_live_ sk_test_ rk_live_ rk_test_ whsec_"), 16, rb"[A-Za-z0-9+/]{16,247}=?"),
    Token("anthropic", b"sk-ant-", 40, rb"[\w-]{40,200}"),
    Token("openai", b"sk-", 20, rb"[\w-]{20,250}"),
    Token("huggingface", b"hf_", 34, rb"[A-Za-z0-9]{34,40}"),
    Token("huggingface", b"api_org_", 34, rb"[A-Za-z0-9]{34}"),
    Token("npm", b"npm_", 36, rb"[A-Za-z0-9]{36}"),
    Token("pypi", b"pypi-Ag", 50, rb"[\w-]{50,1000}"),
    Token("jwt", b"eyJ", 32, rb"[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    Token("sendgrid", b"SG.", 60, rb"[\w-]{16,32}\.[\w-]{16,64}"),
    *_each("twilio", [b"%s%c" % (kind, digit) for kind in (b"SK", b"AC") for digit in HEX], 31, rb"[0-9a-f]{31}"),
    Token("azure", b"AccountKey=", 86, rb"[A-Za-z0-9+/]{86}=="),
    *_each("azure", split("SharedAccessKey= SharedSecretValue="), 43, rb"[A-Za-z0-9+/]{43}="),
    Token("azure", b"sig=", 43, rb"(?:[A-Za-z0-9+/]|%2[BbFf]){43}(?:=|%3[Dd])"),
    *_each("digitalocean", split("dop_v1_ doo_v1_ dor_v1_"), 64, rb"[a-f0-9]{64}"),
    *_each("shopify", split("shpat_ shpca_ shppa_ shpss_"), 32, rb"[a-fA-F0-9]{32}"),
    Token("databricks", b"dapi", 32, rb"[a-f0-9]{32}(?:-\d)?"),
    Token("docker", b"dckr_pat_", 27, rb"[\w-]{27}"),
    Token("grafana", b"glsa_", 41, rb"[A-Za-z0-9]{32}_[a-fA-F0-9]{8}"),
    Token("grafana", b"glc_", 32, rb"eyJ[A-Za-z0-9+/]{29,400}={0,2}"),
    Token("sentry", b"sntrys_", 40, rb"[A-Za-z0-9+/=_]{40,500}"),
    Token("sentry", b"sntryu_", 64, rb"[a-f0-9]{64}"),
    Token("postman", b"PMAK-", 59, rb"[a-f0-9]{24}-[a-f0-9]{34}"),
    Token("linear", b"lin_api_", 40, rb"[A-Za-z0-9]{40}"),
    Token("notion", b"secret_", 43, rb"[A-Za-z0-9]{43}"),
    Token("notion", b"ntn_", 43, rb"[A-Za-z0-9]{43,50}"),
    Token("airtable", b"pat", 79, rb"[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    Token("mailgun", b"key-", 32, rb"[0-9a-f]{32}"),
    Token("square", b"sq0atp-", 22, rb"[\w-]{22,60}"),
    Token("square", b"sq0csp-", 43, rb"[\w-]{43}"),
    Token("atlassian", b"ATATT3", 100, rb"[\w=-]{100,250}"),
    Token("vault", b"hvs.", 24, rb"[\w-]{24,200}"),
    Token("vault", b"hvb.", 100, rb"[\w-]{100,400}"),
    Token("doppler", b"dp.pt.", 40, rb"[A-Za-z0-9]{40,44}"),
    Token("rubygems", b"rubygems_", 48, rb"[a-f0-9]{48}"),
    Token("brevo", b"xkeysib-", 81, rb"[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    Token("newrelic", b"NRAK-", 27, rb"[A-Z0-9]{27}"),
    Token("groq", b"gsk_", 52, rb"[A-Za-z0-9]{52}"),
    Token("replicate", b"r8_", 37, rb"[A-Za-z0-9]{37}"),
    Token("perplexity", b"pplx-", 40, rb"[A-Za-z0-9]{40,64}"),
    Token("xai", b"xai-", 70, rb"[A-Za-z0-9]{70,84}"),
    Token("figma", b"figd_", 40, rb"[\w-]{40}"),
    *_each("http", split("Bearer bearer BEARER"), 20, rb"[ +][\w.~+/-]{20,1000}=*"),
    *_each("http", split("Basic basic"), 8, rb" [A-Za-z0-9+/]{8,200}={0,2}"),
)
# Tokens with no fixed prefix; the kernel finds them by what stands inside.
TELEGRAM = re.compile(rb"\d{8,10}:AA[\w-]{33}(?![\w-])")
AZURE_CLIENT = re.compile(rb"(?:(?<![\w~.-])|(?<=\\[nrt]))[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])")
AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")  # looked for beside a key id

# An address as programs write it: no quoted local parts, no domains without a dot.
EMAIL = re.compile(
    rb"(?P<local>[A-Za-z0-9\x80-\xff](?:[\w.%+\x80-\xff-]{0,62}[\w+\x80-\xff-])?)"
    rb"@(?P<domain>(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}(?P<top>[A-Za-z]{2,18}))(?![\w@-]|\.\w)"
)
URL_USER = re.compile(
    rb"://(?P<user>[^\s:/@\"'`<>\\]{0,128})(?::(?P<password>[^\s@/\"'`\\]{1,256}))?@(?P<host>[^\s:/\"'`<>\\?#]+)"
)
IPV4 = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d|-\w)")
IPV6 = re.compile(rb"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}(?![\w.]|:\w)")

# North American numbers: three digits, three, four, and neither group begins with 0 or 1.
NATIONAL = re.compile(
    rb"(?:\((?P<area>[2-9]\d\d)\) ?|(?P<code>[2-9]\d\d)(?P<sep>[-. ]))"
    rb"(?P<rest>[2-9]\d\d(?(sep)(?P=sep)|[-. ])\d{4})(?![\w-]|\.\d)"
)
INTERNATIONAL = re.compile(rb"\+[1-9]\d{0,14}(?:[ .-]?\(\d{1,5}\)[ .-]?\d{1,12})?(?:[ .-]\d{1,12}){0,5}(?!\w)")
# The country codes that the ITU has given out (E.164).
COUNTRY = re.compile(
    rb"1|7|2(?:[07]|1[12368]|[2-5]\d|6[0-9]|9[0179]|98)|3(?:[0-469]|5\d|7\d|8[0-9])|4(?:[01]|[3-9]|2[013])|5(?:[1-8]|0\d|9\d)"
    rb"|6(?:[0-6]|7\d|8[0-3]|8[5-9]|9[0-2])|8(?:[1246]|5[02356]|70|8[0-368])|9(?:[0-58]|6\d|7[0-79]|9[2-8])"
)
CARD = re.compile(rb"\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}(?!\w|[.-]\d)|\d{4}[ -]\d{6}[ -]\d{4,5}(?!\w|[.-]\d)")

PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
CUT_KEY = re.compile(rb"(?:[\s\"'`\\nrb+(,]{0,24}[A-Za-z0-9+/=]{32,})*")
KEY_MATERIAL = re.compile(rb"(?<!\\)(?:[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/]+={1,2})")  # not the n of \n

# What stands behind a telling name: a quoted value, or a bare word where the language has such.
QUOTED = re.compile(
    rb"[=:,>]{1,3}[ \t]*[brufBRUF]{0,2}(?P<quote>\"\"\"|'''|[\"'`])"
    rb"(?P<value>(?:[^\\\n\"'`]|\\.|(?!(?P=quote))[\"'`]){1,512}?)(?P=quote)"
)
BARE = re.compile(rb"[=:>]{1,3}[ \t]*(?P<value>[^\s\"'`<>(){}\[\],;\\]{6,256})(?=[\s\"'`<;,\\]|\Z)")
