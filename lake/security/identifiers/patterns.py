"""What looks like an identifier, of anybody: numbers, addresses and dates, not names.

Patterns are in the dialect of Rust's ``regex`` (linear in the text whatever it holds), for text in which ``PLAIN`` has
made any dash ``-``, any space a space and any digit one of 0 to 9. Where a form would eat what medicine writes, the
clinical text stays: 7 digits are a phone number only after a word that says so, month and day alone are a date only
with the month's name, and a bare number is an age or a plate only next to its keyword.
"""

from string import ascii_lowercase
from typing import Final

from lake.security.identifiers.folding import words

_STATES: Final = words(
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC "
    "ND OH OK OR PA PR RI SC SD TN TX UT VT VA VI WA WV WI WY GU AS MP AA AE AP"
)
_STATE_NAMES: Final = words(
    "alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho "
    "illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota "
    "mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas utah "
    "vermont virginia washington wisconsin wyoming"
)
_TWO_WORD_STATES: Final = (
    "new hampshire", "new jersey", "new mexico", "new york", "north carolina", "north dakota", "rhode island",
    "south carolina", "south dakota", "west virginia", "district of columbia",
)  # fmt: skip

# Kinds of streets and how they are shortened; kinds that medicine knows too (view, port, wall, test) are not taken.
_KINDS: Final = words(
    "alley aly avenue av ave boulevard blvd circle cir court crescent cres drive dr expressway expy freeway fwy "
    "heights hts highway hwy lane ln loop parkway pkwy pike place pl plaza plz ridge rdg road rd row square squares sq "
    "street st terrace ter terr trail trl turnpike tpke way wy pky xing cove cv"
)
_SURE_KINDS: Final = words("street avenue ave boulevard blvd terrace lane parkway pkwy road rd highway")
"""Kinds that make a street of words in small letters too; the others need a capital before them."""

_OTHER_KINDS: Final = words(
    "trace trce crossing glen grove grv view crest pass path bend landing lndg manor gardens park commons estates "
    "green village springs mews walk hill run"
)
"""Kinds that are words too: after a house number and a name with a capital that is none of ``_NO_STREET``."""
_NO_STREET: Final = words(
    "minute minutes min mins hour hours hrs day days week weeks wks month months mos year years yrs unit units tablet "
    "tablets tab tabs cap caps capsule capsules dose doses drop drops puff puffs spray sprays gram grams gauge lead "
    "leads mcg meq mmol mmhg bpm percent degree degrees meter meters metre yard yards foot feet step steps lateral "
    "male female patient old new and the for from with told tells call calls called page paged pages notified notify "
    "seen sees saw via per ask asked asks when then later ago until before after daily nightly once twice stat prn "
    "today now informed contacted spoke text texted reported report discussed let sent was not any oblique axial "
    "coronal sagittal frontal iliac second seconds sec secs sinus french systolic diastolic hand push"
)
"""What follows a number and is not the name of a street."""

_ZERO_WIDTH: Final = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\ufeff"
PLAIN: Final = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    **dict.fromkeys("\u2018\u2019\u201b\u02bc\uff07", "'"),
    **dict.fromkeys("\uff0e\u2024\u3002", "."),
    **dict.fromkeys("\u2044\u2215\uff0f", "/"),
    **dict.fromkeys(_ZERO_WIDTH, ""),
    "\uff20": "@", "\uff08": "(", "\uff09": ")", "\uff0b": "+", "\uff1a": ":",
    **{chr(zero + digit): str(digit) for zero in (0xFF10, 0x0660, 0x06F0, 0x0966) for digit in range(10)},
}  # fmt: skip
"""A sign → what it becomes in plain text."""

_EDGE: Final = r"(?:\b|_)"
_FIGURE: Final = r"(?:\b|[\p{L}_])"
"""A figure may touch a letter or an underscore (DOB1961-03-04, 2024-03-01T10:00), which then goes with it."""
_SEPARATORS: Final = (r"\s{0,4}-\s?", r"\s{0,4}\.\s?", r"\s{1,4}", r"\s?[·•:;_|~*\\]\s?", ",", "")
"""What may be between groups of figures: the same between all of them, so that a list of values is none."""
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_SURE_MONTH: Final = _MONTH.replace("mar(?:ch)?", "march").replace("|may", "")
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_DAYS_BEFORE: Final = rf"(?:{_DAY}(?:\s?[-/&,]\s?|\s(?:to|through|thru|and|or|until)\s))?"
_DAYS_AFTER: Final = rf"(?:(?:\s?[-&]\s?|\s(?:to|through|thru|and|or|until)\s)(?:the\s)?{_DAY})?"
"""The other day of a range."""
_D: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_M: Final = r"(?:0?[1-9]|1[0-2])"
_FULL_YEAR: Final = r"(?:18|19|20)\d{2}"
_OLD: Final = r"(?:9\d|1[0-4]\d)"
_OLD_TOO: Final = rf"(?:{_OLD}-?(?:\s?[-/]\s?|\s(?:to|or|and)\s))?"
_NUMBERED: Final = (
    r"(?:[\s.]*(?:(?:ids?|no|nos|nr|num|numbers?|code)\b|#|\([a-z ]{1,10}\)))*[\s.:#=\"'(-]*"
    r"(?:(?:is|was|are)\s+)?"
)
"""What may be between a keyword and its number."""
_MBI: Final = "[ac-hjkmnp-rt-y]"
_VALUE: Final = (
    r"(?:(?:[a-z]{1,5}[-./]?|(?-i:[A-Z]{1,5})\s)?(?:\d[\da-z]{3,}|\d{2,}[./-]\d{3,}|\d{1,4}(?:[-./ ]\d{1,4}){2,})"
    r"|(?:[a-z]{1,3}[-./]|(?-i:[A-Z]{1,3})\s)\d{2,}[-./ ]\d{2,}"
    r"|(?:(?-i:[A-Z]{2})\s)?[a-z]{1,5}-?\d{2,}[\da-z]*|\d[\da-z]{2,}-[a-z]*\d[\da-z]*)"
    r"(?:[-./_][\da-z]+|\s[\da-z]*\d[\da-z]*|\s(?-i:[A-Z]{2,4}))*"
)
"""An id after its keyword: four figures or more, with letters or in groups."""
_LONG_VALUE: Final = (
    r"(?:[a-z]{1,5}-?)?(?:\d{5,}[\da-z]*|\d{1,4}-\d{4,}|\d{4,}-\d{2,}|\d{1,3}[a-z]{1,3}\d{3,}"
    r"|\d{3}\s\d{3}(?:\s\d{3})?)(?:-[\da-z]+)*"
)
"""Five figures or more, after a keyword that stands before counts as well (visit 3, group 2)."""
_MORE_VALUES: Final = (
    r"(?:(?:\s*[,&/]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+)#?(?:[a-z]{1,3}-?)?\d{5,}[\da-z]*(?:-[\da-z]+)*)*"
)
_ENDING: Final = r"[\s:#=()-]*(?:(?:is|are|in|with|of)\s+)?\d{4}\b"
_EXTENSION: Final = r"(?:[\s,;]*(?:x|ext\.?|extn\.?|extension|#)[\s.:=]*\d{1,6}|/\d{4}\b)?"
_MORE_PHONES: Final = (
    r"(?:(?:\s*[,&/]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+)(?:\d{3}[\s.-]?){1,2}\d{4}\b|\s+or\s+\d{4}\b)*"
)


def _grouped(*groups: str) -> str:
    """Groups of figures with the same separator between all of them."""
    return "|".join(separator.join(groups) for separator in _SEPARATORS)


def _any(choices: tuple[str, ...]) -> str:
    return "(?:" + "|".join(sorted(sorted(choices), key=len, reverse=True)) + ")"


def _figures(separator: str) -> str:
    """A date in figures with the same separator twice: year first, or day and month in either order before it."""
    between = rf"\s?[{separator}]\s?" if separator != " " else r"\s"
    time = r"(?:T?\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    year = r"(?:(?:18|19|20)\d{2}|['’]?\d{2})" if separator not in " ," else _FULL_YEAR
    range_ = rf"(?:{_D}{between}{_D}\s?-\s?)?" if separator == "/" else ""
    days = (  # not of 10: pain 4/10-6/10
        rf"|{_FIGURE}{_M}/{_D}\s?-\s?{_D}/(?:{_FULL_YEAR}|0[1-9]|[1-9][1-9]|[2-9]0){_FIGURE}"
        if separator == "/"
        else ""
    )
    return (
        rf"{_FIGURE}{_FULL_YEAR}{between}\d{{1,2}}{between}\d{{1,2}}{_FIGURE}{time}"
        rf"|{range_}{_FIGURE}(?:{_D}{between}{_M}|{_M}{between}{_D}){between}{year}{_FIGURE}{days}"
    )


_LEAST_WORD: Final = 3


def _other_than(taken: tuple[str, ...], *, capital: bool = False) -> str:
    """Any word of three letters or more but these (Rust's regexes cannot look ahead), small or with a capital."""

    def rest(start: str) -> str:
        following = sorted({word[len(start)] for word in taken if word.startswith(start) and len(word) > len(start)})
        cased = str.upper if capital and not start else str.lower
        others = "".join(cased(letter) for letter in ascii_lowercase if letter not in following)
        ways = [f"[{others}][a-z]{{{max(0, _LEAST_WORD - 1 - len(start))},}}"]
        ways += [f"{cased(letter)}{rest(start + letter)}" for letter in following]
        return f"(?:{'|'.join(ways)}){'?' if len(start) >= _LEAST_WORD and start not in taken else ''}"

    return rest("")


_STATE: Final = rf"(?:\b{_any(_STATES)}|\bD\.\s?C\.|(?i:\b{_any((*_STATE_NAMES, *_TWO_WORD_STATES))}))"
_WHERE: Final = r"(?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West|Northeast|Northwest|Southeast|Southwest)\.?\s+)?"
_UNIT: Final = r"(?:,?\s*(?i:apt|apartment|suite|ste|unit|floor|fl|room|rm|#)\.?\s*#?\s*\w+)?"
_NUMBER: Final = r"\b\d{1,6}(?:-?[A-Za-z]|-\d{1,4}|\s1/2|½)?,?\s+"
_NAME: Final = _other_than(_NO_STREET)
_CAPITAL_NAME: Final = _other_than(_NO_STREET, capital=True)
_TOWARD: Final = r"(?:\s(?i:n|s|e|w|north|south|east|west)\b)?"
_WHOSE: Final = (
    r"(?:[\s,]+(?:is|at|on|to|home|work|his|her|their|him|them|me|us|back|mom|mother|dad|father|wife|husband|son|daughter"
    r"|family|office|cell|mobile|h|c|w|m)\b){0,4}"
)
_LOCAL: Final = r"[^\s@,;:()<>\[\]\"]+"
_HOST: Final = r"[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+"
_TOP: Final = r"(?:com|org|net|edu|gov|example|info|io|health|us|uk|ca|de|fr|es|mx|co\.uk)"
_NO_STATES: Final = words("in or me hi ok oh as aa ae ap sc id ms mi co de al")
"""In small letters these are words, or of medicine: a state after a comma alone."""
_SMALL_STATES: Final = _any(tuple({state.lower() for state in _STATES} - {*_NO_STATES}))
_OLD_STATES: Final = (
    r"(?i:\b(?:(?:ala|ariz|calif|colo|conn|fla|kans?|mich|minn|mont|nebr?|nev|okla|oreg|penna?|tenn|tex|wisc?|wyo)\b\.?"
    r"|(?:ark|del|ill|ind|mass|miss|ore|wash|wis)\.|[nsw]\.?\s?(?:carolina|dakota|va|virginia|mex|mexico|hampshire|jersey"
    r"|york)\b\.?)|\bMass\b)"
)
_STATE_BEFORE: Final = (
    rf"(?:{_STATE}|(?i:\b{_SMALL_STATES}\b|,\s?{_any(_STATES)}\b)|{_OLD_STATES}|\b(?-i:[A-Z]\.\s?[A-Z]\.)"
    r"|(?i:\bpuerto\s+rico)|\b(?-i:[A-Z][a-z])\.)"
)

_CARD: Final = _grouped(r"[2-9]\d{3}", r"\d{4}", r"\d{4}", r"\d{1,4}")
_AMEX: Final = _grouped(r"3[47]\d{2}", r"\d{6}", r"\d{5}")
_PHONE: Final = _grouped(r"\d{3}", r"\d{3}", r"\d{4}")
_SSN: Final = _grouped(r"\d{3}", r"\d{2}", r"\d{4}")

PATTERNS: Final = {
    "email": (
        rf"{_LOCAL}\s?(?:@|\(@\))\s?{_HOST}|\"[^\"\n]{{1,64}}\"@{_HOST}|[\p{{L}}][\p{{L}}\p{{N}}.+'_-]*@[\p{{L}}][\p{{L}}-]+\b"
        rf"|(?i:{_LOCAL}\s*[(\[{{<]\s*at\s*[)\]}}>]\s*[\p{{L}}\p{{N}}.-]+(?:\s*[(\[{{<]\s*dot\s*[)\]}}>]\s*[\p{{L}}\p{{N}}-]+)*"
        rf"|{_LOCAL}\s+at\s+[\p{{L}}\p{{N}}-]+(?:\s+dot\s+[\p{{L}}\p{{N}}-]+)+"
        rf"|{_LOCAL}\s+at\s+[\p{{L}}\p{{N}}-]+(?:\.[\p{{L}}\p{{N}}-]+)*\.{_TOP}\b)"
    ),
    "url": (
        r"(?i:\b(?:https?|s?ftp)://\s?\S+|\bwww\.\S+"
        rf"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.{_TOP}(?:/\S*)?\b|\b[a-z0-9-]+\.(?:ly|me|gl|co|be)/\S+)"
    ),
    "ip": (
        rf"{_EDGE}\d{{1,3}}(?:\.\d{{1,3}}){{3}}{_EDGE}"
        r"|(?i:\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b"
        r"|\b[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}\b|\b[0-9a-f]{2}(?:-[0-9a-f]{2}){5}\b"
        r"|\bmac(?:\s+address)?[\s:]*[0-9a-f]{4}\.?[0-9a-f]{4}\.?[0-9a-f]{4}\b"
        r"|\b[0-9a-f]{4}(?:\.[0-9a-f]{4}){2,3}\b)"
    ),
    "medicare": (
        rf"(?i:\b[1-9]{_MBI}[ac-hjkmnp-rt-y0-9]\d[\s._-]?{_MBI}[ac-hjkmnp-rt-y0-9]\d[\s._-]?{_MBI}{{2}}\d{{2}}\b)"
    ),
    "numbered": (
        r"(?i:\b(?:(?:medicare|medicaid|mbi|hicn|insurance|policy|policies|pol|members?|subscriber|beneficiary|accounts?|accts?"
        r"|accnt|acnt|a/c|licen[cs]es?|lic|dl|passports?|vin|mrns?|charts?|mr|med(?:ical)?\.?\s+rec(?:ord)?s?|record"
        rf"|card|certificate|serial|s/n|ssn|social\s+security)\b{_NUMBERED}{_VALUE}|(?:m\.\s?r\.(?:\s?n\b\.?)?|rec\s*(?:#|no\b|num)){_NUMBERED}{_VALUE}"
        r"|(?:visits?|encounters?|enc|acc|csn|fin|har|(?:patient|pt)\.?\s*(?:id|no|num|number)|claims?|cases?|groups?|grp|accession|dea|npi)"
        rf"\b{_NUMBERED}{_LONG_VALUE}|(?:patient|pt)\.?\s*#\s*{_LONG_VALUE}"
        rf"|(?:mrn|mr|csn|fin|har|acct|pol|dl)\d{{5,}}[\da-z]*){_MORE_VALUES}"
        rf"|\b(?:ssn|social(?:\s+security)?|card|visa|mastercard|amex|account|acct)(?:\s+(?:no|number))?[\s:#,(]*"
        rf"(?:end(?:ing|s)|last\s+(?:4|four)(?:\s+digits?)?|[x*]{{2,}}(?:[\s-]?[x*]+)*-?){_ENDING}"
        rf"|\blast\s+(?:4|four)(?:\s+digits?)?\s+(?:of\s+)?(?:(?:the|his|her|their|pt)\s+)?(?:ssn|social(?:\s+security)?(?:\s+number)?|card|account){_ENDING})"
    ),
    "plate": (
        rf"(?i:\b(?:(?:licen[cs]e\s+)?plates?|license|registration|reg)\b{_NUMBERED}(?:[a-z]{{2}}-|(?-i:\(?[A-Z]{{2}}\)?)\s)?"
        r"(?:[a-z]{1,4}-?\d{3,4}[a-z]{0,3}|(?-i:[A-Z]{1,4}\s\d{3,4}[A-Z]{0,3})|\d{1,3}-?[a-z]{2,4}-?\d{1,4}"
        r"|(?-i:\d{1,3}\s?[A-Z]{2,4}\s?\d{1,4})|\d{3,4}-?(?:[a-z]{3}|[abd-ln-z][a-z]|[cm][a-ln-z])|(?-i:\d{3,4}[\s-][A-Z]{2,3})"
        r"|(?-i:\d[A-Z]{2}[\s-]?[A-Z]\d{2}|[A-Z]{3}[\s-]?\d{2}|[A-Z]{2,3}\d{2}[A-Z]{1,3}|[A-Z]{1,3}-[A-Z]{1,2}[\s-]?\d{1,4})"
        r"|[a-z]{2}\d{2}\s?[a-z]{3}|\d{5,8})\b)"
    ),
    "card": (
        rf"{_EDGE}(?:{_CARD}){_EDGE}"
        rf"|{_EDGE}[2-9]\d{{3}}[\s-]?\d{{4}}[\s-]?\d{{4}}[\s-]?\d{{4}}{_EDGE}"
        rf"|{_EDGE}[2-9]\d{{3}}/\d{{4}}/\d{{4}}/\d{{4}}{_EDGE}"
        rf"|{_EDGE}(?:{_AMEX}){_EDGE}"
        r"|\b[A-Z]{2}\d{2}(?:[\s-]?[A-Z0-9]{4}){3,7}(?:[\s-]?[A-Z0-9]{1,3})?\b|\b[A-Z]{2}\d{2}(?:[\s-]?\d{4}){2}[\s-]?\d{3}\b"
        r"|(?i:\b[a-z]{2}\d{2}[a-z0-9]{4}\d{7}[a-z0-9]{0,16}\b|\b[a-z]{2}\d{2}\s[a-z0-9]{4}(?:\s\d{4}){2,5}(?:\s[a-z0-9]{1,3})?\b|\biban[\s:]*[a-z]{2}\d{2}(?:[\s-]?[a-z0-9]{4}){2,7}(?:[\s-]?\d{1,3})?\b)"
    ),
    "phone": (
        rf"\+\s?\d(?:[\s./_-]{{0,3}}\(?\d\)?){{6,14}}(?i:{_EXTENSION})"
        rf"|\b(?:00|011)[\s.-]?[1-9]\d?(?:[\s.-]?\d){{7,12}}\b(?i:{_EXTENSION})|\b1\d{{10}}\b"
        rf"|(?:\+?1[-. ]{{0,2}})?(?:[(\[]\s?)?{_FIGURE}\d{{3}}\s?[)\]][\s./-]{{0,3}}\d{{3}}[\s./-]{{0,3}}\d{{4}}"
        rf"(?i:{_EXTENSION}){_FIGURE}"
        rf"|(?:\+?1[-. ]{{0,2}})?{_FIGURE}(?:{_PHONE}|\d{{3}}[-./]\d{{3}}[-.]\d{{4}}|\d{{3}}[-.]\d{{3}}[-./]\d{{4}}"
        rf"|\d{{3}}[-. ]\d{{7}}|\d{{6}}-\d{{4}}|\d{{3}}[-. ]\d{{3}}[-. ]\d{{4}}"
        rf"|1/\d{{3}}/\d{{3}}/\d{{4}})(?i:{_EXTENSION}){_FIGURE}"
        r"|(?i:\b(?:ph|phn|phones?|tel|telephone|cell|cellphone|mob|mobile|landline|pagers?|paged|pgr|beeper|beep|fax|fx|call|calls"
        rf"|called|callback|dial|text|reach)(?:\b{_WHOSE})?{_NUMBERED}(?:0\d{{2,4}}[\s-]?\d{{3,4}}[\s-]?\d{{3,4}}\b"
        rf"|(?:\(?\d{{3}}\)?[\s./-]{{0,3}}){{1,2}}\d{{2}}\s?\d{{2}}\b{_EXTENSION}{_MORE_PHONES}))"
        rf"|(?i:\b(?:office|home|work|contact)\b{_NUMBERED}(?:\([2-9]\d{{2}}\)\s?|[2-9](?:\d[1-9]|[1-46-9]0)[.-]\s?)\d{{4}}\b{_EXTENSION}{_MORE_PHONES})"
        rf"|(?i:\b(?:pager|pgr|bpr|beeper)\b{_NUMBERED}\d{{3,6}}\b)"
    ),
    "ssn": (
        rf"{_FIGURE}(?:{_SSN}|\d{{3}}[\s.-]\d{{2}}[\s.-]\d{{4}}|\d{{3}}/\d{{2}}/\d{{4}}){_FIGURE}|\(\d{{3}}\)\s?\d{{2}}\s\d{{4}}\b"
        r"|(?i:[x*]{3}[\s-]?[x*]{2}[\s-]?\d{4}\b)|(?i:\bssn[\s:#]*\d(?:[\s-]?\d){8}\b)|\b\d(?:-\d){8}\b"
    ),
    "date": "|".join(
        (
            *map(_figures, ("-", "/", ".", "_", "·", r"\\", " ")),
            rf"{_EDGE}(?:19|20)\d{{2}}[-/](?:0[1-9]|1[0-2]){_EDGE}",  # 2021-08
            rf"{_EDGE}(?:0?[1-9]|1[0-2])[-/](?:19|20)\d{{2}}{_EDGE}",
            rf"{_EDGE}(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]){_FIGURE}",  # compact, any order
            rf"{_EDGE}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:19|20)\d{{2}}{_FIGURE}",
            rf"{_EDGE}(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d{{2}}{_FIGURE}",
            r"(?i:\b(?:dob|d\.o\.b\.|born|birth(?:day|date)?)[\s:]*(?:on\s+)?\d{6}\b)",
        )
    ),
    "month": "|".join(
        (
            rf"(?i:\b{_DAYS_BEFORE}{_DAY}[\s.,/-]*(?:of\s+)?{_MONTH}[\s.,/-]*(?:{_FULL_YEAR})\b)",
            rf"(?i:\b{_DAY}(?:[\s/-]?|\.?\s?)(?:of\s+)?{_MONTH}[\s/-]?['’]?\d{{2}}\b)",
            rf"(?i:\b{_MONTH}[\s,/-]*(?:the\s+)?{_DAY}{_DAYS_AFTER}(?:[\s,/-]+{_FULL_YEAR}|,\s?\d{{2}}|/\d{{2}}|,?\s?['’]\d{{2}})\b)",
            rf"(?i:\b\d{{2}}{_MONTH}\d{{2}}\b|\b{_MONTH}-{_DAY}-\d{{2}}\b|\b{_MONTH}\s?\d{{1,2}}(?:st|nd|rd|th),?\s\d{{2}}\b)",
            rf"(?i:\b{_FULL_YEAR}[\s.,/-]*{_MONTH}(?:[\s.,/-]*{_DAY})?\b)",
            rf"(?i:\b{_MONTH}[\s,./-]*(?:of\s+)?{_FULL_YEAR}\b)",
            rf"\b(?i:{_SURE_MONTH})(?:[/-]|\s?['’])\d{{2}}\b",  # no day: may and mar are words and units as well
            rf"\b{_DAYS_BEFORE}{_DAY}(?:[\s./-]*|\s+of\s+)(?i:{_SURE_MONTH})\b",
            rf"\b(?i:{_SURE_MONTH})[\s/-]*(?:the\s+)?{_DAY}{_DAYS_AFTER}\b",
            rf"\b{_DAYS_BEFORE}{_DAY}\s?(?:of\s+)?(?:May|MAY|Mar|MAR)\b|\b{_DAY}(?:[./-]?(?i:mar)|[./-](?i:may))\b",
            rf"\b(?:May|MAY|Mar\.?|MAR)\s{_DAY}{_DAYS_AFTER}\b|\bmay\s(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)\b",
            rf"(?i:\b(?:mar|may)(?:[/-]\d{{2}}|[./-]?{_DAY}|(?:\sof)?\s?['’]\d{{2}})\b)",
        )
    ),
    "age": (
        rf"(?i:(?:\b|pt|_){_OLD_TOO}{_OLD}(?:\.\d+|\s\d/\d|\s?½|\s+and\s+a\s+half)?\+?[\s_-]*"
        r"(?:y\.?[\s_/-]?o(?:\.?[a-z]{0,2}[fma])?\.?|y[\s-]old|yrs?\.?|years?)\b\.?(?:[\s-]*(?:olds?|of\s+age)\b)?"
        rf"|\b{_OLD}\s?(?:y\s?/?\s?[fm]|y\s?\d{{1,2}}\s?mo?|y|/\s?[fm])\b|\b[fm]/{_OLD}\b|\b{_OLD}[\s-](?:male|female|man|woman)\b"
        r"|\bage[ds]?(?:/sex|\s+range)?(?:\s*\(?(?:in\s+)?y(?:ea)?rs?\)?)?[\s:=(-]*(?:is\s+|of\s+|about\s+|around\s+|approx(?:\.|imately)?\s*)?"
        rf"[>≥~≈]?\s?(?:\d{{2,3}}\s?(?:-|to|and|or)\s?)?{_OLD}(?:\.\d+)?(?:\s?(?:-|to)\s?\d{{2,3}})?(?:\s?y(?:rs?|ears?|[./]?\s?o)?)?(?:\s?/?\s?[fm])?\b"
        r"|\b(?:in\s+(?:his|her|their)\s+)?(?:mid|late|early)[\s-](?:90s|90's|nineties)|\bin\s+(?:his|her|their)\s+(?:90s|90's|nineties|100s)"
        r"|\b(?:ninety|(?:one\s+)?hundred)(?:[\s-]+(?:and\s+)?(?:one|two|three|four|five|six|seven|eight|nine|ten))?"
        r"[\s-]+(?:years?|yrs?)[\s-]+old\b|\b(?:nonagenarian|centenarian)s?\b)|\b9\dM\b"
    ),
    "street": (
        rf"(?i:\b(?:\d{{1,6}}\s+)?(?:old\s+)?(?:(?:u\.?\s?s\.?|state|county|co\.?|cty\.?|old)\s+(?:route|rte|rt|highway|hwy|road|rd)"
        rf"|rte|highway|hwy|(?:fm|farm\s+to\s+market)\s(?:road|rd))\b\.?\s*\d{{1,4}}[a-z]?{_TOWARD}\b)"
        rf"|{_NUMBER}{_WHERE}(?:[\p{{Lu}}\d][\p{{L}}\p{{M}}\p{{N}}'.-]*\s+){{1,5}}(?:(?i:{_any(_KINDS)})|Ct)\b\.?(?:\s(?:N|S|E|W|NE|NW|SE|SW)\b)?{_UNIT}"
        rf"|(?i:{_NUMBER}(?:[\p{{L}}'.-]+\s+){{1,2}}{_any(_SURE_KINDS)}\b\.?){_UNIT}"
        rf"|{_NUMBER}(?:Broadway|Camino\s\p{{Lu}}\p{{L}}+|(?:Avenue|Ave\.?)\s(?:of\sthe\s\p{{Lu}}\p{{L}}+|[A-Z]\b)){_UNIT}"
    ),
    "road": (
        rf"\b\d{{2,6}}\s+{_WHERE}(?:[\p{{Lu}}\d][\p{{L}}\p{{M}}\p{{N}}'.-]*\s+){{0,3}}{_CAPITAL_NAME}\s+"
        rf"(?i:{_any(_OTHER_KINDS)})\b{_UNIT}"
        rf"|\b\d{{2,6}}\s+(?:[nsew]\.?\s+)?(?:{_NAME}\s+)?{_NAME}\s+dr\b\.?"
        rf"|\b\d{{3,6}}\s+(?:[nsew]\.?\s+)?(?:{_NAME}\s+)?{_NAME}\s+(?:ln|st)\b\.?|\b\d{{3,6}}\s+\p{{Lu}}[\p{{L}}\p{{M}}'-]+\s+Pt\b\.?"
        r"|(?i:\b(?:p[\s./-]{0,2}o[\s./-]{0,2}|post\s+office\s+)(?:box|bx|drawer)\b[\s.:#]*(?:(?:no|num|number)\b[\s.:#]*)?"
        r"(?:[a-z]-?)?\d+(?:-?[a-z])?\b|\bp\.?o\.?b(?:\.\s*|\s+)#?\d+\b"
        r"|\b(?:r\.?\s?r\.?|rural\s+route|star\s+route|r\.?f?\.?d\.?|hc)\s*#?\s*\d+[\s,]*box\s*#?\s*\d+[a-z]?\b|\brural\s+route\s+\d+\b"
        r"|\bbox\s*#?\s*\d+[a-z]?[\s,]*(?:r\.?\s?r\.?|r\.?f\.?d\.?|rural\s+route)\s*#?\s*\d+\b"
        rf"|\b\d{{1,6}}\s+(?:old\s+)?(?:route|rt|u\.?s\.?)\b[\s.-]*\d{{1,4}}[a-z]?{_TOWARD}\b|\b(?:off|along|near|on|at)\s+(?:route|rt)\b\.?\s*\d{{1,4}}{_TOWARD}\b)"
        rf"|\b(?:Route\s\d{{1,4}}|RT\d{{2,3}}|\d{{2,6}}\s+(?:CR|SR)\s\d{{2,4}}|FM\s\d{{3,4}}){_TOWARD}\b"
    ),
    "zip": (
        rf"{_STATE_BEFORE}[\s.,:(-]{{0,3}}(?:USA?,?\s)?\d{{5}}(?:(?:\s?-\s?|\s)?\d{{4}})?\b\)?"
        r"|(?i:\b(?:zip|postal|post)(?:[\s-]*code)?[\s.:#]*(?:is\s+)?\d{5}(?:-\d{4})?\b)"
    ),
}
"""Kind → its pattern."""

# The edge of a word, by ASCII: with that of Unicode a text that is not ASCII takes a hundred times as long.
ASCII_EDGE: Final = r"(?-u:\b)"

_TOGETHER: Final = (
    "email url ip",
    "numbered",
    "medicare plate card",
    "phone ssn",
    "month age",
    "date",
    "street",
    "road zip",
)
PASSES: Final = tuple(
    "|".join(f"(?:{PATTERNS[kind]})" for kind in kinds.split()).replace(r"\b", ASCII_EDGE) for kinds in _TOGETHER
)
"""What is taken out one after the other. Two or three kinds at once take less time than each alone; too many, a
hundred times as long (what the engine makes of them no longer fits into its cache): measure after a change."""

HINT: Final = (
    r"\d|@|(?i:[a-f]:[a-f]{1,2}:|\bmac\b|\bat\b|\bdot\b|://|www\.|\.(?:com|org|net|edu|gov|info|io|health|example|co|me|ly|gl|be|us|uk|ca|de|fr|es|mx)"
    r"\b|nineties|ninety|hundred|enarian)"
).replace(r"\b", ASCII_EDGE)
"""What a text holds in which any of the patterns can be found: cheap to look for."""
