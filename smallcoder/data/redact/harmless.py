"""What only looks like a secret: documentation's addresses, placeholders, words, and numbers that everybody uses.

Every function judges one candidate that a pattern has found. The tables hold what stands in real code in great numbers
and names nobody: leaving these alone is what makes redaction precise.
"""

import re
from collections import Counter
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from math import log2


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode().split())


# Our own placeholders, and the forms in which templates and documentation leave a value open.
OPEN = re.compile(
    rb"<[^>]*>|\{\{|\{[\w.!:\[\]]*\}|\$[{(]|^\$\w+$|^%\w+%$|^\[.*\]$|%\(\w+\)|%[sdr]$"
    rb"|^%[sdr]|\*{3}|\.\.\.|[xX]{4}|a-z|A-Z|^[^A-Za-z0-9]*$|^(?:env|secret|vault|ssm|arn|file|data|https?):"
)
# Parts of values that nobody would use in earnest; compared without case, after a few figures for letters.
FICTION = re.compile(
    rb"example|sample|dummy|fake|changeme|change[-_ ]?(?:me|this)|your|placeholder|insert|replace|redacted|removed"
    rb"|hidden|masked|invalid|notreal|not[-_]?a[-_]|foobar|foo[-_]?bar|lorem|todo|fixme|default|undefined|unknown|test|mock"
    rb"|password|passwd|passwort|passphrase|secret|token|credential|apikey|api[-_]key|access[-_]?key|letmein|hunter2"
    rb"|abcdef|qwert|asdf|123456|987654|a{6}|0{6}|1{6}|deadbeef|cafebabe|s3cr3t|p4ss|pa\$\$|pa55|p@ss"
)
LEET = bytes.maketrans(b"@03", b"aoe")

# RFC 2606 and RFC 6761, and names that documentation uses in their place; OpenSSH names its algorithms like addresses.
RESERVED_TOPS = _words("test example invalid localhost local localdomain internal lan")
STAND_IN_NAMES = _words(
    """
    example test tests testing domain mydomain yourdomain your-domain somedomain otherdomain company mycompany
    yourcompany corp email mail-server host hostname myhost server servername site mysite website foo bar baz
    foobar spam eggs a b c x y z abc xyz acme contoso fabrikam somewhere nowhere localhost address openssh libssh
    """
)
STAND_IN_LOCALS = _words(
    """
    git hg svn user username user1 user2 you your your.name your_name your-name yourname your.email your_email
    your-email youremail name someone somebody nobody anybody anyone foo bar baz john.doe johndoe jane.doe
    janedoe jdoe pass password noreply no-reply no_reply donotreply do-not-reply do_not_reply mailer-daemon postmaster
    """
)
TOPS = _words(
    """
    com org net edu gov mil int info biz name pro aero coop museum jobs mobi travel tel cat asia post xxx io
    dev app ai tech cloud online site xyz club shop blog page wiki news live life world email network systems
    solutions software digital agency design studio media group company team works zone space website host
    press codes engineering science academy school university institute foundation global international berlin
    london paris nyc tokyo amsterdam wien koeln hamburg bayern swiss moscow one top fun run link click today
    plus center tools rocks ninja guru expert consulting ac ad ae af ag al am ao aq ar as at au aw ax az ba bb
    bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz
    de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gt gu gw
    gy hk hm hn hr ht hu id ie il im in iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li
    lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni
    nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si
    sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz
    va vc ve vg vi vn vu wf ws ye yt za zm zw
    """
)

# Special-purpose networks (RFC 6890 and its successors), multicast and reserved space, and the best-known resolvers.
LOCAL_V4 = [
    IPv4Network("0.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/3"),
]
LOCAL_V6 = [IPv6Network("2001::/23"), IPv6Network("2001:db8::/32"), IPv6Network("2002::/16"), IPv6Network("3fff::/20")]
RESOLVERS = _words(
    """
    8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 114.114.114.114
    4.2.2.2 2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001 2620:fe::fe
    """
)
# Before a dotted number: it counts versions, sections or objects (X.500's 2.5, ISO's 1.3), not hosts.
VERSION_BEFORE = re.compile(
    rb"(?:ver(?:sion)?s?|release[ds]?|rev(?:ision)?|build|firmware|oid|sections?|sect|chapter|clause|figure|table|python|v)"
    rb"[\"'\])]*[ \t]*(?:is|of|to|[=:,(<>~!]+|[-_./])?[ \t]*[\"'(\[]?v?$"
    rb"|(?:[=<>~!]=|[\w.)]/|\w-|[#^~\xa7])$",
    re.IGNORECASE,
)
HOST_NEAR = re.compile(rb"dns|server|host|\bip|addr|proxy|ping|gateway|socket|://", re.IGNORECASE)

# Numbers that payment services publish for tests.
TEST_CARDS = _words(
    """
    4111111111111111 4242424242424242 4012888888881881 4222222222222 4000056655665556 5555555555554444
    5105105105105100 5200828282828210 5454545454545454 2223003122003222 378282246310005 371449635398431
    378734493671000 6011111111111117 6011000990139424 6011000000000004 3530111333300000 3566002020360505
    3566111111111113 30569309025904 38520000023237 36227206271667 4000000000000002 4000002500003155
    4917610000000000 4444333322221111 4012000033330026 4111111145551142 4988438843884305 5019717010103742
    4000000000000077 4000000000009995
    """
)
BRANDS = re.compile(
    rb"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    rb"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}"
)
UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")

# The pairs of letters that make up most of English words: about a fifth of all pairs, three quarters of those in words.
PAIRS = _words(
    """
    th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi
    ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc
    et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv
    ia am fi ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke ui fr oo ag ey ok ap ub ck qu ue ye
    """
)
LETTERS = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")


def is_open(value: bytes) -> bool:
    """A template, a placeholder (ours too), asterisks: nothing is given away."""
    return OPEN.search(value) is not None


def is_fiction(value: bytes) -> bool:
    """It says of itself that it is made up, or it is a row on the keyboard."""
    low = value.lower()
    return FICTION.search(low) is not None or FICTION.search(low.translate(LEET)) is not None


def entropy(value: bytes) -> float:
    """Shannon entropy of the bytes, in bits a byte."""
    total = len(value)
    return -sum(count / total * log2(count / total) for count in Counter(value).values())


def is_wordy(value: bytes) -> bool:
    """Made of words: runs of three letters and more, and half of the pairs in them common in English.

    Identifiers have 0.7 of such pairs, random letters 0.2; fewer than six pairs say nothing.
    """
    runs = [run.lower() for run in LETTERS.findall(value)]
    letters = sum(map(len, runs))
    pairs = letters - len(runs)
    if pairs < 6 or letters < 3 * len(runs):
        return False
    return 2 * sum(run[at : at + 2] in PAIRS for run in runs for at in range(len(run) - 1)) >= pairs


def looks_random(value: bytes, least: int = 16) -> bool:
    """Whether a value seems to be drawn by a machine: at least `least` bytes with letters and figures, of much entropy
    and not made of words.

    The entropy must reach three quarters of what the length and the alphabet allow, which is detect-secrets' limit of
    3.0 for hexadecimal figures and a little below its 4.5 for base64 at 64 bytes, and holds for short values too.
    """
    if len(value) < least or UUID.fullmatch(value) or b":" in value or is_open(value) or is_fiction(value):
        return False
    figures = sum(48 <= byte <= 57 for byte in value)
    if not figures or figures == len(value):
        return False
    if all(byte in b"0123456789abcdefABCDEF" for byte in value):
        return entropy(value) >= 0.75 * min(log2(len(value)), 4.0)  # no words to be seen in these letters
    return entropy(value) >= 0.75 * min(log2(len(value)), 6.0) and not is_wordy(value)


def harmless_email(local: bytes, domain: bytes) -> bool:
    """A stand-in, a role of a machine, or no domain that could be real."""
    names = domain.lower().split(b".")
    low = local.lower()
    return (
        names[-1] not in TOPS
        or names[-2] in STAND_IN_NAMES
        or len(set(names[-2])) == 1
        or low in STAND_IN_LOCALS
        or low.startswith((b"noreply", b"no-reply"))
    )


def harmless_ipv4(address: bytes, before: bytes, after: bytes) -> bool:
    """Not a public host: special-purpose, a known resolver, a network, a version, or made up.

    before, after: the rest of the line on both sides.
    """
    parts = [int(part) for part in address.split(b".")]
    if max(parts) > 255 or any(part[:1] == b"0" and len(part) > 1 for part in address.split(b".")):
        return True
    number = IPv4Address(address.decode())
    if address in RESOLVERS or any(number in net for net in LOCAL_V4):
        return True
    even = parts[2] - parts[1] == parts[1] - parts[0]  # 1.2.3.4, 1.1.1.7, 11.22.33.44
    if (
        even
        or address == b"123.45.67.89"
        or parts[3] == 0
        or after.startswith(b".in-addr")
        or parts[:2] in ([2, 5], [1, 3])
    ):
        return True
    if re.match(rb"/(?:[0-9]|[12][0-9]|3[01])(?!\d)", after) or VERSION_BEFORE.search(before):
        return True
    return max(parts) < 64 and not HOST_NEAR.search(before + after)


def harmless_ipv6(address: bytes, after: bytes) -> bool:
    """Not an address of a public host."""
    try:
        number = IPv6Address(address.decode())
    except ValueError:
        return True
    known = str(number).encode() in RESOLVERS or any(number in net for net in LOCAL_V6)
    return known or address.endswith(b"::") or re.match(rb"/(?!128)\d", after) is not None


def harmless_card(digits: bytes) -> bool:
    """No number that a card could have (brand, length, Luhn's check of ISO/IEC 7812-1), or one made for tests."""
    if not BRANDS.fullmatch(digits) or digits in TEST_CARDS or len(set(digits)) < 5:
        return True
    values = [byte - 48 for byte in reversed(digits)]
    doubled = sum(2 * value - 9 * (value > 4) for value in values[1::2])
    return (sum(values[::2]) + doubled) % 10 != 0


def harmless_phone(digits: bytes) -> bool:
    """A number set aside for fiction (555-0100 to -0199; Ofcom's for drama), or one that only counts."""
    fiction = digits[-7:-2] == b"55501" or digits[-8:-3] == b"79460" or b"7700900" in digits
    return fiction or len(set(digits)) < 3 or b"12345" in digits or b"98765" in digits


def harmless_password(value: bytes, name: bytes) -> bool:
    """A word, a label, a template, or the name again: nothing that can be told from a string that is no password."""
    if len(value) < 6 or is_open(value) or is_fiction(value) or any(byte in b" \t(),;" for byte in value):
        return True
    if value.startswith((b"/", b"./", b"~/")):
        return True
    low = bytes(byte for byte in value.lower() if 97 <= byte <= 122)
    if not low or low in name.lower() or UUID.fullmatch(value):
        return True
    figures = sum(48 <= byte <= 57 for byte in value)
    marks = sum(byte in b"!@#$%^&*+=?~|" for byte in value)
    return not figures and not marks and (is_wordy(value) or len(LETTERS.findall(value)) == 1)
