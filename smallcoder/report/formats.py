"""How the page writes figures, and how it shows text that would rather not be seen."""

from typing import Any


def percent(value: float | None) -> str:
    """0.1234 as 12.3%; nothing for nothing."""
    return "" if value is None else f"{value:.1%}"


def count(value: float | None) -> str:
    """1234567 as 1,234,567; nothing for nothing."""
    return "" if value is None else f"{value:,.0f}"


def decimal(value: float | None) -> str:
    """Two decimals; nothing for nothing."""
    return "" if value is None else f"{value:.2f}"


def size(value: float | None) -> str:
    """Bytes as kB, MB or GB (powers of 1000)."""
    if value is None:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}" if value < 100 * factor else f"{value / factor:,.0f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float) -> str:
    """491.3 as 8 min 11 s; from ten minutes on without seconds, which nobody reads and no card has room for."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes >= 10:
        return f"{minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {127: "\u2421"}
_HIDING = [
    *range(0x80, 0xA0),
    0xAD,
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
]
_VISIBLE = _CONTROLS | {code: f"⟨U+{code:04X}⟩" for code in _HIDING}


def visible(value: Any) -> Any:
    """A text with control characters, and those that hide or reorder text, as marks one can see; else the value.

    The template applies it to all that it prints.
    """
    return value.translate(_VISIBLE) if isinstance(value, str) else value
