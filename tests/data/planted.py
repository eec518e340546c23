"""Secrets and their look-alikes, drawn from a seed, for planting into real files.

The forms are written from the services' documentation, apart from the patterns that look for them.
"""

import base64
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE32 = string.ascii_uppercase + "234567"
SYLLABLES = ["ba", "ko", "mi", "ra", "tu", "len", "dor", "vik", "san", "pel", "gri", "hon", "zar", "wel", "nim", "tas"]


@dataclass(frozen=True)
class Plant:
    """`line` holds `value`, which must go (or, of a decoy, stay). `type` is None for a decoy."""

    kind: str
    type: str | None
    value: str
    line: str


class Draw:
    """Random strings of the forms that follow."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def of(self, letters: str, count: int) -> str:
        return "".join(self.rng.choice(letters) for _ in range(count))

    def name(self) -> str:
        return "".join(self.rng.choice(SYLLABLES) for _ in range(self.rng.randint(2, 3)))

    def digits(self, count: int) -> str:
        return self.of(string.digits, count)

    def base64(self, size: int) -> str:
        return base64.b64encode(self.rng.randbytes(size)).decode()

    def email(self) -> str:
        local = self.rng.choice(["{}.{}", "{}_{}", "{}{}", "{}+{}"]).format(self.name(), self.name())
        top = self.rng.choice(["com", "org", "net", "de", "co.uk", "io", "edu", "fr", "dev"])
        return f"{local}@{self.rng.choice(['', 'mail.', 'cs.'])}{self.name()}.{top}"

    def ipv4(self) -> str:
        return f"{self.rng.choice([34, 52, 62, 85, 94, 142, 151, 185, 217])}." + ".".join(
            str(self.rng.randint(1, 254)) for _ in range(3)
        )

    def ipv6(self) -> str:
        tail = self.rng.choice(["{}:{}:{}:{}:{}:{}", "{}:{}::{}", "{}::{}:{}"])
        groups = [f"{self.rng.randint(1, 65535):x}" for _ in range(tail.count("{}"))]
        return self.rng.choice(["2a00:1450:", "2a02:8108:", "2600:1f18:", "2400:cb00:"]) + tail.format(*groups)

    def us_phone(self, form: str) -> str:
        area = self.rng.choice("23456789") + self.digits(2)
        return form.format(area, self.rng.choice("2346789") + self.digits(2), self.digits(4))

    def world_phone(self) -> str:
        groups = {
            "+49": (3, 8),
            "+33": (1, 2, 2, 2, 2),
            "+44": (4, 6),
            "+81": (2, 4, 4),
            "+91": (5, 5),
            "+55": (2, 5, 4),
        }
        code = self.rng.choice([*groups])
        mark = self.rng.choice(" -")
        return mark.join([code, *("6" + self.digits(width - 1) for width in groups[code])])

    def card(self, mark: str) -> str:
        head = self.rng.choice(["4", "51", "55", "2221", "6011", "65"])
        body = [int(digit) for digit in head + self.digits(15 - len(head))]
        total = sum(d if at % 2 else (2 * d - 9 if d > 4 else 2 * d) for at, d in enumerate(body))
        number = "".join(map(str, body)) + str(-total % 10)
        return mark.join(number[at : at + 4] for at in range(0, 16, 4))

    def password(self) -> str:
        form = self.rng.randrange(5)
        if form == 0:
            return self.of(ALNUM + "!#%&*+?@^_", self.rng.randint(10, 18)) + self.digits(1)
        if form == 1:
            return self.name().capitalize() + self.digits(4) + self.rng.choice("!#?")
        if form == 2:
            return self.name() + self.digits(3)
        if form == 3:
            return f"{self.name()}!{self.name()}{self.digits(2)}"
        return self.of(ALNUM, 12) + self.digits(2)

    def private_key(self, label: str) -> str:
        body = self.base64(400)
        lines = [body[at : at + 64] for at in range(0, len(body), 64)]
        return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])

    def jwt(self) -> str:
        return f"eyJhbGciOiJIUzI1NiJ9.eyJ{self.of(URLSAFE, 40)}.{self.of(URLSAFE, 43)}"


# Tokens with a form of their own.
TOKENS: dict[str, Callable[[Draw], str]] = {
    "aws id": lambda draw: draw.rng.choice(["AKIA", "ASIA"]) + draw.of(BASE32, 16),
    "github": lambda draw: draw.rng.choice(["ghp_", "gho_", "ghs_", "ghu_"]) + draw.of(ALNUM, 36),
    "github fine": lambda draw: f"github_pat_{draw.of(ALNUM, 22)}_{draw.of(ALNUM, 59)}",
    "gitlab": lambda draw: "glpat-" + draw.of(URLSAFE, 20),
    "slack bot": lambda draw: f"xoxb-{draw.digits(12)}-{draw.digits(12)}-{draw.of(ALNUM, 24)}",
    "slack user": lambda draw: f"xoxp-{draw.digits(11)}-{draw.digits(11)}-{draw.digits(12)}-{draw.of(HEX, 32)}",
    "slack hook": lambda draw: (
        f"https://hooks.slack.com/services/T{draw.of(BASE32, 8)}/B{draw.of(BASE32, 8)}/{draw.of(ALNUM, 24)}"
    ),
    "google key": lambda draw: "AIza" + draw.of(URLSAFE, 35),
    "google client": lambda draw: "GOCSPX-" + draw.of(URLSAFE, 28),
    "stripe": lambda draw: draw.rng.choice(["sk_live_", "rk_live_"]) + draw.of(ALNUM, 24),
    "openai": lambda draw: f"sk-{draw.of(ALNUM, 20)}T3BlbkFJ{draw.of(ALNUM, 20)}",
    "openai project": lambda draw: f"sk-proj-{draw.of(URLSAFE, 74)}T3BlbkFJ{draw.of(URLSAFE, 74)}",
    "anthropic": lambda draw: f"sk-ant-api03-{draw.of(URLSAFE, 93)}AA",
    "huggingface": lambda draw: "hf_" + draw.of(string.ascii_letters, 34),
    "npm": lambda draw: "npm_" + draw.of(ALNUM, 36),
    "pypi": lambda draw: "pypi-AgEIcHlwaS5vcmc" + draw.of(URLSAFE, 150),
    "jwt": lambda draw: draw.jwt(),
    "sendgrid": lambda draw: f"SG.{draw.of(URLSAFE, 22)}.{draw.of(URLSAFE, 43)}",
    "twilio": lambda draw: "SK" + draw.of(HEX, 32),
    "telegram": lambda draw: f"{draw.rng.randint(10**8, 10**10 - 1)}:AA{draw.of(URLSAFE, 33)}",
    "azure storage": lambda draw: f"AccountKey={draw.base64(64)}",
    "azure client": lambda draw: f"{draw.of(ALNUM, 3)}{draw.digits(1)}Q~{draw.of(ALNUM, 34)}",
    "digitalocean": lambda draw: "dop_v1_" + draw.of(HEX, 64),
    "shopify": lambda draw: "shpat_" + draw.of(HEX, 32),
    "databricks": lambda draw: "dapi" + draw.of(HEX, 32),
    "bearer": lambda draw: draw.of(ALNUM, 40),
}
# Where a token may stand; {} is the token.
HOLDERS = (
    'TOKEN = "{}"',
    "client = connect('{}', retries=3)",
    "# use {} until the new one is there",
    'os.environ["SERVICE"] = "{}"',
    'HEADERS = {{"X-Auth": "{}"}}',
    'print("with\\n{}\\n")',
)


def secrets(rng: random.Random, each: int) -> list[Plant]:
    """`each` secrets of every kind."""
    draw = Draw(rng)
    plants: list[Plant] = []

    def add(kind: str, type: str, make: Callable[[], str], *lines: str) -> None:
        for at in range(each):
            value = make()
            plants.append(Plant(kind, type, value, lines[at % len(lines)].replace("§", value)))

    for kind, make in TOKENS.items():
        held = ('headers = {"Authorization": "Bearer §"}', "# curl -H 'Authorization: Bearer §' /v1") * (
            kind == "bearer"
        )
        lines = held or tuple(holder.format("§") for holder in HOLDERS)
        add(kind, "token", lambda make=make: make(draw), *lines)
    people = (
        "# Author: someone <§>",
        'CONTACT = "§"',
        '__email__ = "§"',
        "# mail § about this.",
        'send(to=["§"])',
    )
    add("email", "email", draw.email, *people)
    add(
        "email again",
        "email",
        draw.email,
        'URL = "mailto:§?subject=x"',
        "# §: the maintainer",
        "x = u'§'",
        'x = "\\u00e4§"',
        'x = "\\n§"',
    )
    hosts = ('HOST = "§"', "# it runs on § now", 'url = "http://§:8080/api"', 'sock.connect(("§", 443))')
    add("ipv4", "ipv4", draw.ipv4, *hosts)
    add("ipv4 again", "ipv4", draw.ipv4, 'DNS = ["§"]', 'ssh = "root@§"', "# ping §")
    add("ipv6", "ipv6", draw.ipv6, 'HOST = "§"', "# see §", 'url = "http://[§]:80/"')
    assigned = (
        'password = "§"',
        "DB_PASSWORD = '§'",
        'connect(user="app", password="§")',
        'CONFIG = {"user": "app", "passwd": "§"}',
        'if pwd == "§": pass',
        'password: str = "§"',
        'self_test(dbPass="§")',
    )
    add("password", "password", draw.password, *assigned)
    add("password again", "password", draw.password, *assigned)
    urls = (
        'DSN = "postgres://app:§@db.prod.net/main"',
        "# amqp://svc:§@mq.prod.net:5672/",
        "R = 'redis://:§@cache.prod.net'",
    )
    add("url", "password", lambda: draw.of(ALNUM, 9) + draw.digits(2), *urls)
    named = (
        'SECRET_KEY = "§"',
        'config["api_key"] = "§"',
        '{"client_secret": "§"}',
        "Session(aws_secret_access_key='§')",
        'os.environ.setdefault("AUTH_TOKEN", "§")',
    )
    add("secret base64", "secret", lambda: draw.base64(30), *named)
    add("secret hex", "secret", lambda: draw.of(HEX, 32), *named)
    add("secret letters", "secret", lambda: draw.of(ALNUM, 24) + draw.digits(1), *named)
    for label in ("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY"):
        for at in range(max(1, each // 3)):
            key = draw.private_key(label)
            inner = key.split("\n")[3]
            escaped = key.replace("\n", "\\n")
            rows = "\n".join(f'    "{line}\\n"' for line in key.split("\n"))
            lines = (f'KEY = """{key}\n"""', f'KEY = "{escaped}"', f"KEY = (\n{rows}\n)")
            plants.append(Plant(label.lower(), "private_key", inner, lines[at % 3]))
    add("us phone", "phone", lambda: draw.us_phone("({}) {}-{}"), "# call §", 'PHONE = "§"')
    add("us phone dashes", "phone", lambda: draw.us_phone("{}-{}-{}"), "# call §", 'row = ["x", "§"]')
    add("world phone", "phone", draw.world_phone, "# fax §", 'tel = "§"', 'send("§", text)')
    add("card", "card", lambda: draw.card(""), 'card = "§"', "# paid with card §", "CARD_NUMBER = §")
    add("card grouped", "card", lambda: draw.card(" "), 'number = "§"', "# §")
    return plants


def decoys(rng: random.Random, each: int) -> list[Plant]:
    """`each` harmless look-alikes of every kind."""
    draw = Draw(rng)
    plants: list[Plant] = []

    def add(kind: str, make: Callable[[], str], *lines: str) -> None:
        for at in range(each):
            value = make()
            plants.append(Plant(kind, None, value, lines[at % len(lines)].replace("§", value)))

    def uuid() -> str:
        return "-".join(draw.of(HEX, width) for width in (8, 4, 4, 4, 12))

    def pick(*values: str) -> Callable[[], str]:
        return lambda: draw.rng.choice(values)

    add(
        "hash",
        lambda: draw.of(HEX, draw.rng.choice([32, 40, 64])),
        'SHA = "§"',
        "# commit §",
        'assert digest == "§"',
    )
    add("uuid", uuid, 'ID = "§"', 'request_id = "§"', "# job §", 'token = "§"')
    small = pick("1.2.3.4", "2.10.4.1", "4.18.0.12", "11.0.9.1", "10.4.2.19")
    add("version", small, 'version = "§"', "# since v§", '__version__ = "§"', '"package==§"')
    add(
        "agent",
        lambda: f"{draw.rng.randint(30, 120)}.0.{draw.rng.randint(1, 200)}.{draw.rng.randint(1, 99)}",
        'UA = "Chrome/§ Safari"',
    )
    local = ["127.0.0.1", "0.0.0.0", "10.1.2.3", "192.168.1.17", "172.16.5.4", "169.254.169.254", "255.255.255.0"]
    add(
        "local",
        pick(*local, "203.0.113.7", "198.51.100.9", "192.0.2.33", "8.8.8.8"),
        'HOST = "§"',
        "# on §",
        'ip = "§"',
    )
    add("local v6", pick("::1", "fe80::1", "2001:db8::8a2e", "fd00::17", "2001:4860:4860::8888"), 'HOST = "§"')
    add("oid", pick("2.5.29.17", "1.3.6.1.5.5.7.3.2", "2.16.840.1.101.3.4", "1.2.840.113549"), 'OID = "§"')
    stand_in = [
        "user@example.com",
        "a@b.example.org",
        "foo@bar.com",
        "git@github.com",
        "noreply@github.com",
        "you@domain.com",
    ]
    add("stand-in", pick(*stand_in, "bob@localhost", "x@test.invalid"), 'MAIL = "§"', "# like §")
    add("matrix", pick("left@right.transpose", "w@x.T", "q@k.mT"), "scores = §(0, 1)", "# y = §")
    add("icon", pick("icon@2x.png", "lodash@4.17.21", "actions/checkout@v4", "logo@3x.gif"), 'NAME = "§"')
    fixture = [
        "password",
        "secret",
        "changeme",
        "test",
        "test_password",
        "your-password",
        "xxxxxxxx",
        "********",
        "hidden",
    ]
    add("fixture", pick(*fixture, "password_field", "example-password"), 'password = "§"', 'login(password="§")')
    opened = pick("${DB_PASSWORD}", "{{ password }}", "%(password)s", "<password>", "$PASSWORD", "{password}")
    add("template", opened, 'password = "§"', 'api_key = "§"', 'DSN = "postgres://app:§@db.prod.net/"')
    lookup = pick("os.environ['API_KEY']", "getpass.getpass()", "settings.SECRET_KEY", "config.get('token')")
    add("look-up", lookup, "api_key = §", "password = §", "secret=§")
    words = pick("access_token", "client_credentials", "Bearer", "refresh-token-2", "urn:ietf:params:oauth:token-type")
    add("word", words, 'token = "§"', 'secret = "§"', '{"token": "§"}')
    shown = [
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_" + "x" * 36,
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
    ]
    add("shown", pick(*shown, "sk-learn-contrib-estimators-2"), 'key = "§"', 'api_key = "§"', "# §")
    url = pick(
        "user:password@host.org", "guest:guest@mq.prod.net", "user:pass@db.prod.net", "postgres:postgres@db.prod.net"
    )
    add("url words", url, 'URL = "http://§/"', "# ftp://§/")
    add("public key", lambda: draw.base64(48), 'public_key = "§"', 'DATA = "§"', 'integrity = "sha384-§"')
    add(
        "date",
        lambda: f"20{draw.digits(2)}-0{draw.rng.randint(1, 9)}-1{draw.digits(1)} 12:30:45",
        'WHEN = "§"',
        "# §",
    )
    add("number", lambda: "0." + draw.digits(16), "X = §", "# §")
    add("long number", lambda: draw.rng.choice("23456") + draw.digits(15), "SEED = §", "N = [§, 1]")
    add("test card", pick("4111111111111111", "4242 4242 4242 4242", "5555-5555-5555-4444"), 'card = "§"', "# card §")
    add(
        "test phone",
        pick("212-555-0123", "(415) 555-0199", "+1 202 555 0143", "000-000-0000"),
        'phone = "§"',
        "# call §",
    )
    add("slice", pick("x[::2]", "a[1:2]", "std::string", "12:30:45", "00:1B:44:11:3A:B7"), "# §", 'T = "§"')
    add(
        "isbn",
        lambda: f"978-{draw.digits(1)}-{draw.digits(3)}-{draw.digits(5)}-{draw.digits(1)}",
        "# §",
        'ISBN = "§"',
    )
    return plants
