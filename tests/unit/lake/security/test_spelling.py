"""Spellings: what of a record is found in a text, however it is written, and what is left alone."""

import unicodedata
from typing import Final

import pytest

from lake.security.identifiers.finding import scrubbed, scrubbed_all
from lake.security.identifiers.folding import folded
from lake.security.identifiers.spellings import spellings_of

PERSON: Final = {
    "patient_name": "Siobhán O'Brien-Smith",
    "ssn": "123-45-6789",
    "phone": "(415) 555-0199",
    "email": "siob.obrien@mail.example",
    "address": "742 Evergreen Terrace Apt 3, Springfield, IL 62704",
    "date_of_birth": "1961-04-05",
    "patient_id": "MRN00012345",
    "visit_id": "V12-00000077",
}
R: Final = "[redacted]"


def told(text: str, **person: str) -> str:
    return scrubbed(text, spellings_of(person or PERSON))


def test_it_is_found_however_it_is_written(subtests: pytest.Subtests) -> None:
    for text, shown in [
        ("Obrien here", f"{R} here"),
        ("SIOBHAN said", f"{R} said"),
        ("sIoBhAn", R),
        (unicodedata.normalize("NFD", "Siobhán"), R),
        ("o\u2019brien\u2010smith", R),
        ("O BRIEN", R),
        ("Smith, Siobhan", R),
        ("S. Smith", R),
        ("sobrien", R),
        ("SiobhanOBrien", R),
        ("siobhanobrien_34", f"{R}_34"),
        ("Smi\u200bth", R),
        ("ADT0001234520240101", f"ADT{R}20240101"),
        ("mrn 12345 x", f"mrn {R} x"),
        ("v12 00000077", R),
        ("SSN 123 \u2013 45 \u2013 6789", f"SSN {R}"),
        ("123\u00a045\u00a06789", R),
        ("no. 1234567890", f"no. {R}0"),
        ("555.0199", R),
        ("5 Apr 61", R),
        ("05APR1961", R),
        ("april 5, 1961", R),
        ("5/4/61", R),
        ("040561", R),
        ("x19610405y", f"x{R}y"),
        ("at 742 EVERGREEN TER.", f"at {R}."),
        ("evergreen ter lives", f"{R} lives"),
        ("siob.obrien (at) mail", f"{R} (at) mail"),
        ("zip 62704", f"zip {R}"),
    ]:
        with subtests.test(text=text):
            assert told(text) == shown


def test_what_only_resembles_it_stays(subtests: pytest.Subtests) -> None:
    for text in [
        "Smithy",
        "smithfield",
        "Smith\u200bson",
        "O negative",
        "apt 3",
        "1961 beds",
        "5 mg",
        "Terrace",
        "mail",
        "[redacted]",
        "",
    ]:
        with subtests.test(text=text):
            assert told(text) == text


def test_names_of_many_kinds(subtests: pytest.Subtests) -> None:
    for name, text, shown in [
        ("R.J. Long", "Mr. R.J. Long", f"Mr. {R}"),
        ("Robert Long", "patient: LONG", f"patient: {R}"),
        ("Robert Long", "R. Long", R),
        ("Li Wu", "Wu, Li", f"{R}, {R}"),
        ("L. Wu", "seen: Wu", f"seen: {R}"),
        ("Hung Le", "Le was at le bain, ms. le", f"{R} was at le bain, ms. {R}"),
        ("Hung Le", "hungle", R),
        ("Thanh Do", "do not wake Mr. Do", f"do not wake Mr. {R}"),
        ("Will May", "will march; Will called", f"will march; {R} called"),
        ("Straßer, İpek", "STRASSER; i̇pek and İPEK", f"{R} and {R}"),
        ("Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ", R),
        ("王伟", "患者王伟出院", f"患者{R}出院"),
        ("王 伟", "患者王伟出院", f"患者{R}出院"),
        ("Juan de la Cruz", "de la Cruz", R),
        ("Sean McDonald", "Mc Donald", R),
        ("Dr. Peter Parker Jr.", "Peter P., Jr. and Dr. Bell", f"{R} P., Jr. and Dr. Bell"),
        ("Jane", "jane's mother", f"{R}'s mother"),
        ("Peter Smith", "the Smiths", f"the {R}"),
        ("John Quincy Adams", "jqadams, JQAdams", f"{R}, {R}"),
        ("María de la Cruz Peña", "delacruz", R),
        ("John Wu", "jwu wrote", f"{R} wrote"),
        ("Siobhán O'Brien-Ní Dhomhnaill", "SOBRIEN", R),
        ("Ines Hara-Lindqvist Roe", "ilindqvist", R),
        ("Juan Carlos Ortega", "jcortega", R),
        ("SMITH^JOHN^Q", "John Smith", R),
        ("Kamakawiwo\u02bbole", "Kamakawiwo'ole", R),
        ("김철수", "김철수는 안정", f"{R}는 안정"),
        ("सीताराम यादव", "सीताराम ठीक", f"{R} ठीक"),
        ("محمد علي", "مـحـمـد", R),
        ("Müller", "Frau Mueller", f"Frau {R}"),
        ("An Tran", "Constant range", "Constant range"),
        ("Li Ver", "Liver biopsy", f"{R} biopsy"),
        ("Unknown Male", "unknown male, 40", "unknown male, 40"),
        ("Sal", "Saline flush", "Saline flush"),
    ]:
        with subtests.test(name=name):
            assert told(text, patient_name=name) == shown


def test_texts_of_one_record_are_scrubbed_as_each_alone() -> None:
    texts = ["Siobhan", "", "[redacted] O", "Brien", "SSN 123-45", "6789", "Smith"]
    spellings = spellings_of(PERSON)
    assert scrubbed_all(texts, spellings) == [scrubbed(text, spellings) for text in texts]


def test_streets_of_many_kinds(subtests: pytest.Subtests) -> None:
    for address, text, shown in [
        ("5 El Camino Real, Tustin, CA 92780", "at 5 el camino real now", f"at {R} now"),
        ("402 5th Avenue, Troy, NY 12180", "on 5TH AVE.", f"on {R}."),
        ("9 Wexcombe Expressway, Troy, NY 12180", "Wexcombe Expy", R),
        ("One Wexcombe Street, Reno, NV 89501", "Wexcombe St", R),
        ("29 Saint Brendan Ct Apt 4B, Troy, NY 12180", "St. Brendan Court", R),
        ("77 Mount Baker Pkwy, Philadelphia, PA 19103-5521", "Mt Baker Pky, 19103 5521", f"{R}, {R}"),
        ("c/o Ann Lee, 88 Vine Hollow Path, Troy, NY 12180", "88 vine hollow path", R),
        ("12 1/2 Elmwood Ave, Troy, NY 12180", "12 1/2 Elmwood", f"12 {R}"),
        ("100 Main St N, Troy, NY 12180", "100 Main", R),
        ("PO Box 1447, Troy, NY 12180", "p.o. box 1447", f"p.o. {R}"),
        ("P.O.B. 1182, Troy, NY 12180", "box 1182, pob 1182, P.O. Box 1182", f"{R}, {R}, P.O. {R}"),
        ("Königsallee 7, Düsseldorf", "Koenigsallee; Königsallee 7", f"Koenigsallee; {R}"),
        ("Springfield, IL 62704", "Springfield", "Springfield"),
    ]:
        with subtests.test(address=address):
            assert told(text, address=address) == shown


STREETS: Final = {
    **{
        f"4418 W Fullerton Ave{unit}, Chicago, IL 60639": "Fullerton Ave, 4418 W Fullerton Ave, 4418 Fullerton, "
        "W. Fullerton Avenue, 4418 West Fullerton Av"
        for unit in (" 2nd Fl", " Basement", " Bldg C", " 3R", " Lot 9", " rear", " Apt 3")
    },
    "902 St. Andrews Pl, Troy, NY 12180": "St Andrews Pl, Saint Andrews Place, 902 St Andrews, 902 St. Andrews",
    "902 St. Andrews, Troy, NY 12180": "902 Saint Andrews, 902 St Andrews",
    "2240 Mt. Vernon Ave, Troy, NY 12180": "Mount Vernon Ave, Mt. Vernon Avenue, mt vernon ave, 2240 Mt Vernon",
    "2240 E Mt Vernon Ave, Troy, NY 12180": "East Mount Vernon Avenue, Mt. Vernon Avenue, 2240 E. Mt. Vernon",
    "118 N Saint Clair St, Troy, NY 12180": "N St Clair St, 118 St Clair, North St. Clair Street",
    "402 N.E. 5th St, Troy, NY 12180": "NE 5th St, 402 Northeast 5th Street, 5th Street",
    "3305 Route 202, Troy, NY 12180": "Rt 202, Rte. 202, RT202, Rte 202, 3305 Rt 202",
    "501 County Road 42, Troy, NY 12180": "501 CR 42, Co Rd 42, 501 Cty. Rd. 42, County Rd. 42",
    "2217 State Rte 9, Troy, NY 12180": "State Route 9, 2217 Rte 9, State Rt 9, 2217 SR 9",
    "77 US Highway 9 N, Troy, NY 12180": "US Hwy 9, 77 US-9, US Highway 9",
    "9 Old Mill Rd, Troy, NY 12180": "Old Mill Road, 9 Old Mill",
}


def test_a_street_in_each_way_of_writing_it(subtests: pytest.Subtests) -> None:
    for address, ways in STREETS.items():
        with subtests.test(address=address):
            assert [told(f"on {way}; home", address=address) for way in ways.split(", ")] == [f"on {R}; home"] * len(
                ways.split(", ")
            )


def test_a_date_of_birth_in_words_goes_whole(subtests: pytest.Subtests) -> None:
    for born, text in [
        ("1959-12-31", "Dec 31st, '59"),
        ("1961-11-07", "November 7 61"),
        ("1961-11-07", "7th of November, 61"),
        ("2003-09-27", "Sept the 27th 03"),
    ]:
        with subtests.test(born=born):
            assert told(f"born {text}, home", date_of_birth=born) == f"born {R}, home"


def test_a_short_number_is_found_after_its_keyword() -> None:
    assert told("MRN 455, MRN # 455, 455 mL", patient_id="00455") == f"{R}, {R}, 455 mL"


def test_a_date_of_birth_in_any_order(subtests: pytest.Subtests) -> None:
    for text in [
        "4.5.1961",
        "1961/5/4",
        "NOV51961",
        "NOVEMBER051961",
        "Nov0561",
        "19610511",
        "D19611105",
        "61-05-11",
        "5 11 61",
    ]:
        with subtests.test(text=text):
            born = "1961-11-05" if "4" not in text else "1961-05-04"
            assert not set("1456") & set(told(text, date_of_birth=born).replace(R, ""))


def test_a_phone_of_another_country_in_its_national_form(subtests: pytest.Subtests) -> None:
    for phone, text in [
        ("+44 20 7946 0958", "020 7946 0958"),
        ("+44 20 7946 0958", "7946 0958"),
        ("+49 89 6321 7745", "6321 7745"),
    ]:
        with subtests.test(phone=phone):
            assert told(text, phone=phone).replace("020 ", "") == R


def test_a_very_long_identifier_goes_whole() -> None:
    long = "AB" * 100
    assert told(f"x {long} y", patient_id=long) == f"x {R} y"


def test_a_record_without_identifiers_finds_nothing() -> None:
    assert scrubbed("Jane Roe, 123-45-6789", spellings_of(dict.fromkeys(PERSON))) == "Jane Roe, 123-45-6789"


def test_folding_leaves_letters_and_digits() -> None:
    assert folded("Straße 5\u00bd, İÇ-\u0301é_ﬁ\u200b") == "strasse512icefi"
    assert folded("O'Brien, J.-P. 12") == "obrienjp12"
