"""Decides which texts are fit to ship: no profanity, no addresses, no private numbers, plain
English.

A text that fails is dropped whole; nothing is masked or rewritten.
"""

import re
import zipfile

PRIVATE = re.compile(
    r"https?:|www\.|\w\.(?:com|net|org|edu|gov|io|co\.uk)\b"  # links
    r"|\S@\S|(?<!\w)@\w"  # e-mail, handles
    r"|\d(?:[\s().-]{0,2}\d){6,}"  # telephone and card numbers
    r"|\b\d{1,5}\s+(?:\w+\s+){1,3}(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd)\b",
    re.IGNORECASE,
)
# words of medicine, nature and daily life that the word list counts as profane
ORDINARY = frozenset(
    (
        "anus",
        "beer",
        "bloody",
        "booze",
        "bowel",
        "bowels",
        "breast",
        "breasts",
        "cervix",
        "cocaine",
        "demon",
        "devil",
        "dirty",
        "dope",
        "drunk",
        "erect",
        "facial",
        "fat",
        "genital",
        "genitals",
        "god",
        "hell",
        "heroin",
        "herpes",
        "insects",
        "jerk",
        "kill",
        "labor",
        "leper",
        "loin",
        "loins",
        "mucus",
        "murder",
        "naked",
        "nipple",
        "numb",
        "opium",
        "oral",
        "organ",
        "ovary",
        "ovum",
        "pasty",
        "pawn",
        "penetrate",
        "penetration",
        "pot",
        "pubic",
        "rectal",
        "rectum",
        "rum",
        "rump",
        "screw",
        "scrotum",
        "semen",
        "sex",
        "sexual",
        "sin",
        "slave",
        "slope",
        "sniper",
        "snatch",
        "sperm",
        "strip",
        "stroke",
        "stupid",
        "suck",
        "syphilis",
        "testis",
        "testicle",
        "thrust",
        "toilet",
        "ugly",
        "urinal",
        "urine",
        "uterine",
        "uterus",
        "vagina",
        "virgin",
        "vodka",
        "vomit",
        "weed",
        "weird",
        "wine",
        "womb",
        "woody",
    )
)


def profane_words(wheel: zipfile.ZipFile) -> frozenset[str]:
    """The word list of the PyPI package better-profanity (MIT), single words only."""
    name = next(
        n for n in wheel.namelist() if n.endswith("better_profanity/profanity_wordlist.txt")
    )
    words = wheel.read(name).decode().lower().split("\n")
    return frozenset(w.strip() for w in words if w.strip() and " " not in w.strip())


def is_clean(text: str, profane: frozenset[str]) -> bool:
    """Report if a text may be shipped.

    Example:
        >>> is_clean("write to me@example.org", frozenset())
        False
        >>> is_clean("a fine day", frozenset({"foo"}))
        True
    """
    words = set(re.findall(r"[a-z']+", text.lower()))
    return text.isprintable() and not PRIVATE.search(text) and not words & profane


def tidy(text: str) -> str:
    """One line, single spaces, straight quotes."""
    plain = text.translate(
        str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})
    )
    return " ".join(plain.split())
