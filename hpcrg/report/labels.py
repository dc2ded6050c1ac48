"""Names as people write them: y_t with a subscript, k_B, tau as a letter; for drawings and for HTML."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

GREEK = {
    "alpha": "α", "beta": "β", "chi": "χ", "delta": "δ", "eta": "η", "gamma": "γ", "nu": "ν", "omega": "ω",
    "sigma": "σ", "tau": "τ", "xi": "ξ",
}  # fmt: skip
_TOKEN = re.compile(
    rf"(?<![\w.-])(?P<base>{'|'.join(GREEK)}|[A-Za-z])"
    r"(?:_(?P<sub>[A-Za-z0-9]+))?(?:\^(?P<sup>\([^()]*\)|-?\d+))?(?![\w-]|\.\w)"
)
_MEAN = re.compile(r"<(\|?\w\|?(?:\^\d)?)>")
_POWER = re.compile(r"(?<=[)|⟩])\^([234])(?!\d)")
_RAISED = str.maketrans({"2": "²", "3": "³", "4": "⁴"})


def drawn(text: str) -> str:
    """The text with its symbols as mathtext; a dollar sign stays a dollar sign."""
    return _TOKEN.sub(_mathtext, _averages(text.replace("$", r"\$").replace("sqrt(", "√(")))


def html(text: str) -> Markup:
    """The text escaped, its symbols as letters with subscripts and superscripts."""
    text, out, last = _averages(text), Markup(""), 0
    for match in _TOKEN.finditer(text):
        out += escape(text[last : match.start()]) + _html(match)
        last = match.end()
    return out + escape(text[last:])


def _averages(text: str) -> str:
    """<m^2> in angle brackets, and powers of brackets as raised digits."""
    return _POWER.sub(lambda m: m[1].translate(_RAISED), _MEAN.sub(r"⟨\1⟩", text))


def _symbol(match: re.Match[str]) -> bool:
    """A single letter is a word or a unit unless something hangs on it."""
    return match["base"] in GREEK or bool(match["sub"] or match["sup"])


def _mathtext(match: re.Match[str]) -> str:
    if not _symbol(match):
        return match[0]
    base = GREEK.get(match["base"], match["base"])
    sub = rf"_{{\mathrm{{{match['sub']}}}}}" if match["sub"] else ""
    sup = f"^{{{_power(match)}}}" if match["sup"] else ""
    return f"${base}{sub}{sup}$"


def _html(match: re.Match[str]) -> Markup:
    if not _symbol(match):
        return escape(match[0])
    base = Markup("<i>{}</i>").format(GREEK.get(match["base"], match["base"]))
    sub = Markup("<sub>{}</sub>").format(match["sub"]) if match["sub"] else Markup("")
    sup = Markup("<sup>{}</sup>").format(_power(match)) if match["sup"] else Markup("")
    return base + sub + sup


def _power(match: re.Match[str]) -> str:
    power = match["sup"].strip("()")
    for name, letter in GREEK.items():
        power = re.sub(rf"\b{name}\b", letter, power)
    return power
