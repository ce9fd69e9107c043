"""Words of neighbouring meaning, so that "keep the notice" finds "retain the notice". Small on purpose."""

from __future__ import annotations

from crewmix.models.offline.words import STOP_WORDS, stem

_GROUPS = """
keep retain include preserve reproduce maintain intact keeping behalten beibehalten enthalten
require must shall need condition provided requirement obligation mandatory muss müssen verlangen erfordern pflicht
allow permit grant permission right may erlauben dürfen darf gestatten erlaubt gewähren
forbid prohibit disallow restrict restriction not verbieten verboten untersagt
change modify modification alter edit ändern änderung bearbeiten
distribute redistribute redistribution share publish convey weitergeben verbreiten verteilen
copy reproduce duplicate kopieren vervielfältigen
cost price fee charge kosten preis gebühr
remove delete erase drop löschen entfernen
begin start launch beginnen starten
end stop terminate terminated finish cease enden beenden kündigen
error failure fault exception crash bug fehler ausnahme
install installation setup installieren einrichten
default preset standard vorgabe
limit maximum most cap bound grenze höchstens
minimum least mindestens
fast quick speed performance latency schnell geschwindigkeit
safe secure security sicher sicherheit
choose select pick option wählen auswahl
create build construct produce erstellen erzeugen
show display print render anzeigen zeigen
liable liability damages responsible haftung haften
warranty guarantee gewährleistung garantie
name mention state attribution credit nennen namensnennung
explain describe mean definition erklären beschreiben bedeuten
company employer organisation organization corporation firma unternehmen
employee staff worker team mitarbeiter
document file text dokument datei
support compatible work unterstützen
because reason cause due grund ursache
test verify check validate prüfen
"""


def _table() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for line in _GROUPS.strip().splitlines():
        group = {stem(word) for word in line.split()}
        for word in group:
            table.setdefault(word, set()).update(group)
    return {word: frozenset(group - {word}) for word, group in table.items()}


RELATED = _table()
"""Stem to the stems of related words."""


def spoken_forms(word: str) -> list[str]:
    """Words related to `word`, as they are written, for searching."""
    wanted = stem(word)
    lines = (line.split() for line in _GROUPS.strip().splitlines())
    found = [w for line in lines if wanted in map(stem, line) for w in line if stem(w) != wanted]
    return [w for w in found if w not in STOP_WORDS]
