# Alltägliches
back = Zurück
cancel = Abbrechen
close = Schließen
copy-what = { $what } kopieren
dismiss = Verwerfen
retry = Noch einmal versuchen
rooms = Räume
save = Speichern
search = Suchen
settings = Einstellungen
you = Du

# Erster Start
welcome-title = Willkommen bei Conclave
welcome-body = Triff dich, sprich und schreibe mit Leuten in deinem Netz. Ende-zu-Ende verschlüsselt, ohne Konto und ohne Server.
welcome-name = Dein Name
welcome-name-hint = Was andere sehen
welcome-protection = Wo deine Schlüssel und Nachrichten sicher liegen
welcome-keyring = Schlüsselbund des Systems
welcome-keyring-more = Öffnet sich von selbst, wenn du an diesem Rechner angemeldet bist.
welcome-passphrase = Passphrase
welcome-passphrase-more = Wird bei jedem Start abgefragt. Geht auf jedem Rechner.
welcome-insecure = Ungeschützt
welcome-insecure-more = Nur für eine Vorführung. Wer diese Platte hat, liest alles.
welcome-passphrase-field = Passphrase
welcome-passphrase-again = Dieselbe noch einmal
welcome-passphrase-short = Mindestens 8 Zeichen.
welcome-passphrase-differs = Die beiden sind nicht gleich.
welcome-passphrase-warning = Niemand kann sie dir wiederbeschaffen. Schreibe sie auf, wo nur du nachsiehst.
welcome-insecure-warning = Deine Schlüssel und Nachrichten werden ungeschützt auf dieser Platte liegen.
welcome-insecure-accept = Verstanden, das ist nur zum Ausprobieren
welcome-start = Los geht’s
welcome-unlock-title = Willkommen zurück
welcome-unlock-body = Deine Passphrase öffnet, was auf diesem Rechner aufbewahrt ist.
welcome-unlock = Entsperren
welcome-opening-title = Conclave
welcome-opening-body = Deine Räume und Nachrichten liegen verschlüsselt auf diesem Rechner.
welcome-opening = Wird geöffnet …
welcome-aside = Was hier vorher lag, ist beschädigt. Es wurde unverändert beiseitegelegt, und hier wird neu begonnen.

# Seitenleiste
new-meeting = Neues Treffen
join-by-link = Mit Link beitreten
room-last-message = { $name }: { $message }
room-members =
    { $count ->
        [one] Bisher nur du
       *[other] { $count } Leute
    }
room-row =
    { $unread ->
        [0] { $name }
        [one] { $name }, eine ungelesene Nachricht
       *[other] { $name }, { $unread } ungelesene Nachrichten
    }{ $call ->
        [0] { "" }
       *[other] , Anruf mit { $call }
    }
insecure-notice = Ungeschützt gespeichert
insecure-notice-more = Schlüssel und Nachrichten liegen ungeschützt auf dieser Platte. Das ist nur für Vorführungen.
join-row-searching = Suche nach { $room } …
join-row-waiting = Warten auf Einlass zu { $room } …
join-row-failed = Beitritt zu { $room } gescheitert

# Bevor es einen Raum gibt
first-title = Noch keine Räume
first-body = Beginne ein Treffen und lade mit einem Link oder QR-Code ein, oder tritt mit einem Link bei, den dir jemand gegeben hat.
choose-title = Wähle einen Raum
choose-body = Deine Räume stehen links.

# Ein Raum
room-unknown = ein Raum
room-gone = Du bist nicht mehr in diesem Raum. Was gesagt wurde, bleibt hier lesbar.
room-gone-short = Nicht mehr dabei
room-subtitle =
    { $count ->
        [one] Nur du
       *[other] { $count } Leute, { $online } gerade da
    }
room-more = Mehr zu diesem Raum
room-leave = Raum verlassen
room-delete = Von diesem Rechner löschen
day-today = Heute
day-yesterday = Gestern
day-date = { $day }. { $month ->
        [1] Januar
        [2] Februar
        [3] März
        [4] April
        [5] Mai
        [6] Juni
        [7] Juli
        [8] August
        [9] September
        [10] Oktober
        [11] November
       *[12] Dezember
    } { $year }

# Chat
chat-title = Chat
chat-empty = Noch keine Nachrichten
chat-empty-more = Sag hallo. Was du hier schreibst, erreicht alle im Raum, auch die, die später wiederkommen.
chat-empty-viewer = Was hier geschrieben wird, erscheint für dich.
chat-hint = Nachricht an { $room }
chat-send = Senden
chat-emoji = Emoji einfügen
chat-react = Reagieren
chat-reply = Antworten
chat-edit = Bearbeiten
chat-delete = Löschen
chat-edited = (bearbeitet)
chat-deleted = Diese Nachricht wurde gelöscht
chat-newer = Das stammt von einer neueren Version von Conclave
chat-new = NEU
chat-latest = Neueste Nachrichten
chat-replying = Antwort an { $name }
chat-editing = Deine Nachricht wird bearbeitet
chat-quote-far = Eine frühere Nachricht
chat-mention = Jemanden erwähnen
chat-viewer = Du kannst mitlesen. Nur Mitglieder schreiben hier.
chat-invite-link = Einladung in einen Raum
search-hint = Wörter in diesem Raum
search-what = Finde Nachrichten nach den Wörtern darin.
search-none = Nichts gefunden.

# Leute
people-title = Leute
people-waiting =
    { $count ->
        [one] Möchte herein
       *[other] Möchten herein · { $count }
    }
people-here = Gerade da · { $count }
people-away = Abwesend · { $count }
people-alone = Noch ist niemand sonst in diesem Raum. Schicke jemandem eine Einladung.
people-in-call = Im Anruf
person-unknown = Jemand
person-you = { $name } (du)
person-menu = Mehr zu { $name }
person-details = Einzelheiten
person-make = Zu „{ $role }“ machen
person-remove = Aus dem Raum entfernen …
person-online = Gerade da
person-offline = Abwesend
person-frozen = Ausgeschlossen: hat sich widersprochen
person-frozen-more = Das Gerät dieser Person hat zwei verschiedene Dinge als eines unterschrieben. Nichts weiter von ihr wird angenommen; ein Admin sollte es entfernen.
person-device = Geräteschlüssel
person-account = Kontoschlüssel
knock-wants-in = möchte herein
knock-compare = Frage mündlich nach diesem Code. Ihr seht beide denselben.
knock-approve = Einlassen
knock-refuse = Ablehnen
role-viewer = Zuschauer
role-member = Mitglied
role-admin = Admin
role-owner = Eigentümer
role-viewer-more = Zuschauer sehen und hören alles und schreiben nichts, das bleibt.
role-member-more = Mitglieder schreiben, rufen an und teilen.
role-admin-more = Admins laden außerdem ein, lassen ein und entfernen.
role-owner-more = Wer den Raum gegründet hat, darf darin alles.

# Verification
verification = Verschlüsselung und Prüfung
code-call = Anrufcode
code-call-more = Alle hier sehen dieselben Ziffern, außer jemand steht zwischen euch.
code-joined = Geändert, weil { $joined } gekommen ist.
code-left = Geändert, weil { $left } gegangen ist.
code-joined-left = Geändert, weil { $joined } gekommen und { $left } gegangen ist.
code-renewed = Die Schlüssel wurden erneuert. Niemand kam oder ging.
code-pairwise = Dein Code mit dieser Person
code-pairwise-more = Lest ihn einander vor oder haltet die Bildschirme nebeneinander. Er ist auf beiden gleich und ändert sich nie.
code-qr = Code als QR-Code
scan-drop = Du kannst auch ein Foto des anderen Codes hier ablegen.
scan-nothing = In diesem Bild ist kein Code.
verify-confirm = Er stimmt überein
verify-clear = Nicht mehr geprüft
verify-accept = Ohne Vergleich zulassen
person-verified = Geprüft
person-verified-more = Du hast mit dieser Person Codes verglichen.
person-key-changed = Anderer Schlüssel unter diesem Namen
person-key-changed-more = Jemand mit einem anderen Schlüssel hatte diesen Namen zuvor. Es kann ein neues Gerät sein oder jemand anderes. Ton und Bild gehen nicht hin und kommen nicht her, bis du ihn geprüft oder zugelassen hast.

# Einladungen
invite-title = Leute einladen
invite-people = Leute einladen
invite-not-allowed = Nur Admins dieses Raums laden ein. Bitte einen von ihnen um einen Link.
invite-uses = Wie viele kommen dürfen
invite-uses-one = Eine
invite-uses-ten = 10
invite-uses-many = 100
invite-expires = Gültig für
invite-hour = Eine Stunde
invite-day = Einen Tag
invite-week = Eine Woche
invite-role = Sie kommen als
invite-approval = Vor dem Einlass fragen
invite-approval-more = Wer anklopft, wartet, bis ein Admin zustimmt.
invite-make = Einladung erstellen
invite-new = Eine weitere erstellen
invite-copy = Link kopieren
invite-link = Einladungslink
invite-qr = Einladung als QR-Code
invite-terms =
    { $uses ->
        [one] Für eine Person, bis { $day }, { $time }.
       *[other] Für bis zu { $uses } Leute, bis { $day }, { $time }.
    }
invite-open = Links, die noch einlassen
speak-title = Einen Code sagen
speak-body = Für jemanden in diesem Netz: Eine Zahl und drei Wörter lassen eine Person ein, ohne Nachfrage.
speak-make = Code erzeugen
speak-another = Weiteren Code erzeugen
speak-stop = Code zurücknehmen
speak-until = Bis { $time }.
speak-failed = Bis { $time }. Falsche Wörter: { $count } von 3.
speak-used = Jemand ist mit diesem Code hereingekommen.
speak-expired = Die zehn Minuten sind um.
speak-burnt = Dreimal waren die Wörter falsch: Der Code lässt niemanden mehr ein.
speak-withdrawn = Der Code wurde zurückgenommen.
invite-open-terms = { $name }: { $terms }
invite-close = Link schließen
invite-careful = Wer den Link hat, kann anklopfen. Schicke ihn nur denen, die du meinst.

# Ein neuer Raum
new-room-body = Ein Raum behält seinen Chat und kann jederzeit einen Anruf haben.
new-room-name = Name des Raums
new-room-name-hint = Entwurfsbesprechung
new-room-approval = Vor dem Einlass fragen
new-room-approval-more = Ein Admin stimmt jedem zu, der anklopft.
new-room-history = Neue können zurücklesen
new-room-history-more = Sie sehen, was vor ihrem Kommen geschrieben wurde.
new-room-create = Raum anlegen

# Beitreten
join-body = Fügen Sie die Einladung ein, die Sie bekommen haben, oder tippen Sie den Code, der Ihnen gesagt wurde.
join-link = Einladungslink oder Code
join-link-hint = conclave://join/1#… oder 42 apple river stone
join-address = Adresse (freiwillig)
join-address-hint = 192.168.1.20:7401
join-address-note = Nur wenn der Raum nicht von selbst gefunden wird.
join-act = Beitreten
join-spoken-name = wer Code { $number } gesagt hat
join-spoken-searching = Jedes Conclave in diesem Netz wird nach diesem Code gefragt, solange du wartest.
join-cancel = Nicht weiter versuchen
join-another = Anderen Link versuchen
join-invited = Du bist zu „{ $room }“ eingeladen.
join-searching-title = Suche nach { $room } …
join-searching-nobody = Noch antwortet niemand aus diesem Raum, und kein anderes Conclave ist in diesem Netz zu sehen. Es wird weiter versucht, solange du wartest.
join-searching-some = Andere sind in diesem Netz, aber noch antwortet niemand aus diesem Raum. Es wird weiter versucht, solange du wartest.
join-hints = Was helfen kann
join-tried = Was versucht wurde
join-waiting-title = Warten auf Einlass
join-waiting-body = Ein Admin des Raums sieht, dass du anklopfst. Nenne ihm diesen Code mündlich, damit er weiß, dass du es bist.
join-code = Dein Code
join-failed-title = Das hat nicht geklappt

# Das Netz
net-interface = { $name }: { $address }
net-multicast-on = Nachbarn werden per Multicast gesucht
net-multicast-off = Hier gibt es kein Multicast: Nachbarn werden nicht von selbst gefunden
net-neighbours =
    { $count ->
        [0] Kein anderes Conclave zu sehen
        [one] Ein anderes Conclave zu sehen
       *[other] { $count } andere zu sehen
    }
net-dial = { $address }: { $outcome }

# Geräte
device-camera = Kamera
device-mic = Mikrofon
device-speaker = Lautsprecher
device-screen = Bildschirm
device-no-camera = Keine Kamera gefunden
device-no-mic = Kein Mikrofon gefunden
device-no-speaker = Kein Lautsprecher gefunden
device-no-screen = Nichts zum Teilen gefunden

# Vorraum
lobby-first = Noch ist niemand drin. Du beginnst den Anruf.
lobby-inside =
    { $more ->
        [0] Drin: { $names }
       *[other] Drin: { $names } und { $more } weitere
    }
lobby-start = Anruf beginnen
lobby-join = Beitreten
lobby-encrypted = Ende-zu-Ende verschlüsselt
lobby-preview = Vorschau deiner Kamera
lobby-camera-off = Deine Kamera ist aus
lobby-camera-starting = Die Kamera startet …

# Anruf
call-start = Anruf beginnen
call-join = Beitreten
call-back = Zum Anruf
call-running =
    { $count ->
        [one] Eine Person ist in einem Anruf
       *[other] { $count } Leute sind in einem Anruf
    }
call-show-rooms = Räume zeigen, im Anruf bleiben
call-alone = Noch ist niemand sonst hier.
call-mute = Stumm schalten
call-unmute = Mikrofon einschalten
call-camera-on = Kamera einschalten
call-camera-off = Kamera ausschalten
call-share = Bildschirm teilen
call-share-stop = Teilen beenden
call-deafen = Alle stumm stellen
call-undeafen = Alle wieder hören
call-record = Aufzeichnen
call-record-stop = Aufzeichnung beenden
call-recording-by = { $name } zeichnet auf
call-recording-me = Du zeichnest auf
call-leave = Verlassen
call-layout-grid = Anordnung: Raster
call-layout-spotlight = Anordnung: Rampenlicht
tile-screen = Bildschirm von { $name }
tile-own-screen = Dein Bildschirm
tile-connecting = Wird verbunden …
tile-reconnecting = Wird wieder verbunden …
tile-mismatch = Nicht, wer unterschrieben hat. Nichts davon wird gezeigt.
tile-key-changed = Ein anderer Schlüssel unter bekanntem Namen. Nichts wird gesendet oder gezeigt, bis du ihn prüfst oder zulässt.
tile-rtt = Umlaufzeit { $ms } ms
path-lan = Weg: dieses Netz
path-direct = Weg: direkt
path-relay = Weg: über das Relay des Teams
path-carried = Das Relay hat { $mb } MB getragen
tile-rate = { $down } kbit/s herein, { $up } kbit/s hinaus
tile-fps = { $fps } Bilder je Sekunde
tile-lost = { $pct } % des Tons verloren
spoken-mic-on = Mikrofon an
spoken-mic-off = Mikrofon aus
spoken-speaking = spricht
share-title = Was möchtest du teilen?
share-body = Alle im Anruf sehen, was du wählst, bis du aufhörst.
share-screens = Bildschirme
share-windows = Fenster
share-choose = Dies teilen
share-text = Text und Einzelheiten
share-text-more = Schrift bleibt scharf. Auf schlechter Strecke bewegt sie sich seltener.
share-motion = Bewegung
share-motion-more = Filme laufen weiter. Auf schlechter Strecke werden sie kleiner.
share-fps = { $fps } je Sekunde
share-height = { $height } Zeilen
share-none = Auf diesem Rechner gibt es nichts zu teilen, oder er wird noch nicht unterstützt.

# Fragen
confirm-revoke = { $name } entfernen?
confirm-revoke-more = { $name } verliert den Zugang sofort, auch zu einem laufenden Anruf. Das Geschriebene bleibt.
confirm-revoke-act = Entfernen
confirm-leave = „{ $name }“ verlassen?
confirm-leave-more = Zum Wiederkommen brauchst du eine neue Einladung. Was gesagt wurde, bleibt auf diesem Rechner lesbar.
confirm-leave-act = Raum verlassen
confirm-delete-room = „{ $name }“ von diesem Rechner löschen?
confirm-delete-room-more = Du verlässt den Raum, und seine Nachrichten werden von diesem Rechner entfernt. Das lässt sich nicht rückgängig machen.
confirm-delete-room-act = Löschen
confirm-delete-message = Diese Nachricht löschen?
confirm-delete-message-more = Sie verschwindet für alle. Das lässt sich nicht rückgängig machen.
confirm-delete-message-act = Löschen
confirm-wipe = Alles von diesem Computer entfernen?
confirm-wipe-more = Schlüssel, Räume, Nachrichten und Dateien verschwinden, und Conclave endet. Ohne Sicherung oder ein anderes Gerät kannst du nicht wieder diese Person sein. Das lässt sich nicht rückgängig machen.
confirm-wipe-act = Alles entfernen
confirm-record = Diesen Anruf aufzeichnen?
confirm-record-more = Alle im Anruf erfahren es. Was du empfängst, wird in { $folder } aufbewahrt.
confirm-record-act = Aufzeichnung beginnen

# Einstellungen
settings-appearance = Aussehen
settings-profile = Profil
settings-devices = Geräte
settings-network = Netz
settings-theme = Farben
theme-system = Wie das System
theme-light = Hell
theme-dark = Dunkel
settings-text-size = Schriftgröße
settings-language = Sprache
language-system = Wie das System
settings-motion = Weniger Bewegung
settings-motion-more = Nichts gleitet oder blendet.
settings-name-note = Alle in deinen Räumen sehen den neuen Namen.
settings-secrets = Wo deine Schlüssel liegen
settings-wipe = Dieser Computer
settings-wipe-more = Entfernt deine Schlüssel, alle Räume und alle Dateien von Conclave von diesem Computer.
settings-wipe-act = Alles entfernen …
settings-refresh = Neu nachsehen
settings-network-more = Was dieser Rechner vom Netz sieht, falls jemand nicht gefunden wird.
settings-listening = Erreichbar unter
protection-keyring = Im Schlüsselbund dieses Rechners.
protection-passphrase = Hinter deiner Passphrase.
protection-insecure = Ungeschützt auf dieser Platte. Nur für Vorführungen.

# Tasten
keys-title = Tastatur
keys-body = Diese gelten in einem Anruf. Buchstaben tun nichts, während du tippst.
keys-mic = Mikrofon an oder aus
keys-camera = Kamera an oder aus
keys-talk = Halten zum Sprechen
keys-share = Bildschirm teilen
keys-chat = Chat
keys-people = Leute
keys-files = Dateien
keys-layout = Raster oder Rampenlicht
keys-full-screen = Ganzer Bildschirm
keys-send = Nachricht senden
keys-edit-last = Letzte eigene Nachricht bearbeiten
keys-list = Diese Liste

# Hinweise
toast-copied = Kopiert
toast-name-saved = Dein Name wurde geändert
toast-joined = Du bist in { $room }
toast-knock = { $name } möchte herein zu { $room }
toast-knock-action = Zeigen
toast-member-joined = { $name } ist jetzt in { $room }
toast-member-revoked = { $name } ist nicht mehr in { $room }
toast-equivocated = Das Gerät von { $name } hat sich widersprochen und wurde ausgeschlossen
toast-message-far = Diese Nachricht liegt weiter oben. Blättere hin, um sie zu laden.
toast-call-left = { $name } hat den Anruf verlassen
toast-call-lost = Die Verbindung zu { $name } ist abgerissen
toast-call-revoked = { $name } wurde aus dem Anruf entfernt
toast-call-mismatch = Die Verbindung zu { $name } wurde beendet: Die Gegenseite ist nicht, wer unterschrieben hat
toast-recording-on = { $name } zeichnet diesen Anruf auf
toast-recording-off = { $name } zeichnet nicht mehr auf
toast-no-camera = Auf diesem Rechner wurde keine Kamera gefunden.
toast-no-mic = Auf diesem Rechner wurde kein Mikrofon gefunden.

# Fehler, nach dem Code des Knotens
error-bad-request = Das wurde nicht verstanden.
error-bad-version = Dieser Befehl gehört zu einer anderen Version.
error-unknown-room = Dieser Raum ist nicht mehr auf diesem Rechner.
error-unknown-element = Diese Seite oder dieses Element ist nicht mehr auf der Tafel.
error-unknown-message = Diese Nachricht ist nicht mehr da.
error-unknown-device = Diese Person ist nicht mehr da.
error-not-permitted = Deine Rolle in diesem Raum erlaubt das nicht.
error-not-member = Du bist kein Mitglied dieses Raums mehr.
error-bad-text = Dieser Text ist zu lang, leer oder enthält Zeichen, die sich nicht zeigen lassen.
error-quota-exceeded = Das war viel in kurzer Zeit. Warte einen Augenblick und versuche es noch einmal.
error-link-invalid = Das ist keine Einladung von Conclave.
error-link-damaged = Ein Stück dieses Links fehlt oder ist verändert. Kopiere ihn ganz und versuche es noch einmal.
error-link-version = Dieser Link stammt von einer anderen Version von Conclave. Aktualisiere und versuche es noch einmal.
error-link-expired = Diese Einladung ist abgelaufen. Bitte um eine neue.
error-link-used-up = Diese Einladung ist aufgebraucht. Bitte um eine neue.
error-link-revoked = Diese Einladung gilt nicht mehr. Bitte um eine neue.
error-refused = Ein Admin des Raums hat abgelehnt.
error-already-member = Du bist schon in diesem Raum.
error-nobody-found = Niemand aus diesem Raum war zu finden.
error-peer-version = Die Gegenseite hat eine andere Version von Conclave. Beide sollten aktualisieren.
error-code-wrong = Die Wörter passen nicht zum Code. Frag noch einmal danach.
error-code-mismatch = Die Schlüssel sind auf beiden Seiten nicht dieselben. Entweder gehört der Code jemand anderem, oder jemand steht zwischen euch: Vertraue dem nicht.
error-call-full = Dieser Anruf ist voll: Acht Leute sind darin.
error-not-in-call = Du bist in keinem Anruf.
error-already-in-call = Du bist in einem anderen Anruf. Verlasse ihn zuerst.
error-device-failed = Ein Gerät ließ sich nicht benutzen.
error-unsupported = Das geht auf diesem System noch nicht.
error-unreachable = Diese Adresse war nicht zu erreichen.
error-store-in-use = Conclave läuft mit diesen Daten schon. Benutze das offene Fenster oder schließe es zuerst.
error-store-empty = Hier ist noch nichts aufbewahrt.
error-store-exists = Hier liegen schon Daten von jemandem.
error-store-locked = Das hat nicht geöffnet. Prüfe die Passphrase, oder wähle einen anderen Ort für deine Schlüssel.
error-store-damaged = Was auf diesem Rechner aufbewahrt ist, ist beschädigt. Es wurde beiseitegelegt, und nichts wurde überschrieben.
error-store-newer = Diese Daten hat eine neuere Version von Conclave geschrieben. Aktualisiere, um sie zu öffnen.
error-store-failed = Die Platte verweigert es. Sie ist vielleicht voll oder schreibgeschützt.
error-busy = Zu viel auf einmal. Versuche es gleich noch einmal.
error-stopped = Der Motor von Conclave steht. Schließe das Fenster und starte neu.

# Dateien

files-title = Dateien
files-share = Dateien teilen
files-share-folder = Ordner teilen
files-drop = Oder Dateien auf das Fenster ziehen oder einfügen.
files-none = Noch keine Dateien
files-none-more = Was hier geteilt wird, bleibt auf den Geräten der anderen, bis es jemand holt.
file-about = { $size } · { $who }
file-about-folder =
    { $count ->
        [one] { $size } · eine Datei · { $who }
       *[other] { $size } · { $count } Dateien · { $who }
    }
file-waiting = Wartet auf jemanden, der sie hat
file-fetching = { $done } von { $size } · { $speed }/s von { $peers }
file-paused = Angehalten bei { $done } von { $size }
file-sending = Sendet { $speed }/s an andere
file-shared = Von diesem Gerät geteilt
file-complete = Auf diesem Gerät
file-sealed = Versiegelt aufbewahrt, damit andere sie holen können
file-reading = { $name } wird gelesen
file-progress = Fortschritt von { $name }
file-get = { $name } herunterladen
file-get-into = { $name } in einen Ordner herunterladen
file-seed = { $name } versiegelt für andere aufbewahren
file-pause = { $name } anhalten
file-resume = { $name } fortsetzen
file-cancel = { $name } abbrechen
file-open = { $name } öffnen
file-open-folder = { $name } im Ordner zeigen
file-preview = In { $name } hineinsehen
file-preview-of = Blick in { $name }
file-preview-none = Von dieser Datei gibt es nichts zu zeigen.
file-remove = { $name } nicht mehr teilen
size-b = { $n } B
size-kib = { $n } KiB
size-mib = { $n } MiB
size-gib = { $n } GiB
size-tib = { $n } TiB
left-seconds =
    { $n ->
        [one] noch eine Sekunde
       *[other] noch { $n } Sekunden
    }
left-minutes =
    { $n ->
        [one] noch eine Minute
       *[other] noch { $n } Minuten
    }
left-hours =
    { $n ->
        [one] noch eine Stunde
       *[other] noch { $n } Stunden
    }
toast-file-offered = { $who } teilt { $name }
toast-file-complete = { $name } ist da
toast-file-stopped = { $name }: { $why }
confirm-file = { $name } nicht mehr teilen?
confirm-file-more = Niemand kann sie hier mehr holen. Wer sie hat, behält sie.
confirm-file-act = Nicht mehr teilen
error-unknown-file = Diese Datei wird nicht mehr geteilt.
error-file-stale = Die Datei wurde nach dem Teilen geändert. Teile sie noch einmal.
error-file-gone = Die geteilte Datei ist nicht mehr da.
error-file-refused = Das kann nicht geteilt oder geschrieben werden.
error-file-failed = Der Datenträger hat abgelehnt.
error-disk-full = Auf dem Datenträger ist nicht genug Platz.
error-target-gone = Der Zielordner ist nicht mehr da.
error-permission-denied = Lesen oder Schreiben ist dort nicht erlaubt.
error-drive-gone = Das Laufwerk antwortet nicht. Vielleicht wurde es abgezogen.
settings-team = Team
team-none = Du gehörst zu keinem Team. Wer den Knoten eines Teams betreibt, gibt dir einen Link: Füge ihn dort ein, wo du einem Raum beitrittst.
team-member = { $team }, dort bist du { $name }.
team-online = Der Knoten des Teams antwortet.
team-offline = Der Knoten des Teams antwortet nicht. Was ohne ihn geht, geht weiter.
team-relayed = Menschen hinter anderen Routern erreichst du über ihn.
team-joined = Du gehörst jetzt zu { $team }, als { $name }.
error-no-team = Du gehörst zu keinem Team.
error-team-refused = Der Knoten des Teams hat abgelehnt.
error-team-fraud = Der Knoten des Teams ist nicht mehr, was er war. Ihm wird nicht geglaubt.
# The whiteboard
keys-board = Tafel
board = Tafel
board-canvas = Tafel, { $count } Elemente
board-selected = Ausgewählt: { $what }
board-selected-many = { $count } ausgewählt
board-empty = Zeichne etwas. Alle im Raum sehen es.
board-empty-viewer = Hier wurde noch nichts gezeichnet.
board-viewer = Du kannst zusehen, nicht zeichnen: deine Rolle ist Zuschauer.
board-close = Tafel schließen
board-menu = Tafelmenü
board-follow = { $name } folgen
board-unfollow = { $name } nicht mehr folgen
board-following = Du siehst, was { $name } sieht
board-tool-keep = Werkzeug nach Gebrauch behalten
board-tool-kept = Das Werkzeug bleibt
board-tool-hand = Hand: Seite bewegen
board-tool-select = Auswählen
board-tool-rect = Rechteck
board-tool-diamond = Raute
board-tool-ellipse = Ellipse
board-tool-arrow = Pfeil
board-tool-line = Linie
board-tool-pen = Stift
board-tool-text = Text
board-tool-note = Haftnotiz
board-tool-frame = Rahmen
board-tool-eraser = Radierer
board-tool-laser = Laserpointer
board-kind-pen = Strich
board-kind-image = Bild
board-hint-line = Ziehen für eine Linie, klicken für eine Linie aus mehreren Punkten
board-hint-line-more = Klicken für den nächsten Punkt, Enter zum Beenden
board-hint-eraser = Über das ziehen, was weg soll; Alt verschont es
board-hint-text = Klicke dorthin, wo der Text stehen soll
board-text-field = Text auf der Tafel
board-colour-black = Schwarz
board-colour-red = Rot
board-colour-green = Grün
board-colour-blue = Blau
board-colour-orange = Orange
board-colour-yellow = Gelb
board-colour-purple = Violett
board-colour-none = Keine
board-width-thin = Dünn
board-width-bold = Dick
board-width-heavy = Sehr dick
board-dash-solid = Durchgezogen
board-dash-dashed = Gestrichelt
board-dash-dotted = Gepunktet
board-font-small = Klein
board-font-medium = Mittel
board-font-large = Groß
board-font-huge = Sehr groß
board-text-left = Text links
board-text-center = Text in der Mitte
board-text-right = Text rechts
board-corners-sharp = Spitze Ecken
board-corners-round = Runde Ecken
board-head-arrow = Pfeilspitze
board-head-triangle = Dreiecksspitze
board-head-dot = Punkt als Spitze
board-head-both = Spitzen an beiden Enden
board-style-stroke = Farbe
board-style-fill = Füllung
board-style-line = Linie
board-style-text = Schrift
board-style-opacity = Deckkraft
board-order = Reihenfolge und mehr
board-order-front = Ganz nach vorn
board-order-up = Nach vorn
board-order-down = Nach hinten
board-order-back = Ganz nach hinten
board-align = Ausrichten
board-align-left = Links ausrichten
board-align-center = Mittig ausrichten
board-align-right = Rechts ausrichten
board-align-top = Oben ausrichten
board-align-middle = In der Höhe mittig ausrichten
board-align-bottom = Unten ausrichten
board-distribute-across = Gleiche Abstände waagerecht
board-distribute-down = Gleiche Abstände senkrecht
board-group = Gruppieren
board-ungroup = Gruppe auflösen
board-lock = Sperren
board-unlock = Entsperren
board-copy = Kopieren
board-cut = Ausschneiden
board-duplicate = Duplizieren
board-delete = Löschen
board-select-all = Alles auswählen
board-undo = Rückgängig
board-redo = Wiederholen
board-zoom = { $percent } %
board-zoom-in = Vergrößern
board-zoom-out = Verkleinern
board-zoom-fit = Alles zeigen
board-zoom-reset = Auf 100 % zoomen
board-grid-on = Raster zeigen
board-grid-off = Raster ausblenden
board-snap-on = An anderen ausrichten
board-snap-off = Nicht an anderen ausrichten
board-minimap = Karte der Seite: klicken, um dorthin zu gehen
board-minimap-on = Karte zeigen
board-minimap-off = Karte ausblenden
board-page-new = Seite
board-page-add = Neue Seite
board-page-rename = Seite umbenennen
board-page-earlier = Nach links
board-page-later = Nach rechts
board-page-delete = Seite löschen
board-history = Verlauf
board-history-open = Zurückblicken
board-history-close = Zurück zur Gegenwart
board-history-none = Auf dieser Seite ist noch nichts geschehen.
board-history-moment = Moment { $at } von { $count }
board-history-by = von { $name }
board-history-restore = Wiederherstellen
board-export-png = Als PNG speichern
board-export-svg = Als SVG speichern
board-export-pdf = Als PDF speichern
board-export-excalidraw = Für Excalidraw speichern
board-insert-picture = Bilder einfügen
board-paste-picture = Bild aus der Zwischenablage
board-import = Excalidraw-Datei öffnen
board-file-done = Fertig.
board-keys-undo = Rückgängig, wiederholen
board-keys-clipboard = Kopieren, ausschneiden, einfügen
board-keys-duplicate = Duplizieren
board-keys-delete = Ausgewähltes löschen
board-keys-all = Alles auswählen
board-keys-group = Gruppieren, auflösen
board-keys-order = Nach vorn, nach hinten
board-keys-nudge = Ausgewähltes bewegen, mit Umschalt weiter
board-keys-next = Nächstes Element
board-keys-enter = Element setzen, darin schreiben
board-keys-fit = Alles zeigen, Auswahl zeigen
board-keys-pan = Halten, um die Seite zu bewegen
# Zeichen und Zahlen eines Anrufs
call-hand = Hand heben
call-hand-lower = Hand senken
call-hands = Hände: { $names }
call-react = Reagieren
call-react-with = Mit { $emoji } reagieren
call-muted-hint = Du bist stumm. Zum Sprechen { $key } halten.
call-end-all = Für alle beenden
spoken-hand = Hand gehoben, Platz { $place }
stats-title = Zahlen
stats-quality = Qualität: { $quality }
stats-estimate = Die Verbindung trägt etwa { $kbps } kbit/s
stats-lost = { $heard } % ihrer Stimme verloren, { $sent } % von dem, was du sendest
stats-pictures = { $fps } Bilder pro Sekunde, längste Pause { $frozen } ms
stats-rate = kbit/s herein und hinaus
stats-rtt = Hin und zurück, ms
stats-loss = Stimme verloren, %
stats-fps = Bilder pro Sekunde
quality-excellent = Ausgezeichnet
quality-good = Gut
quality-poor = Schlechte Verbindung
quality-lost = Verbindung verloren
lobby-meter = Lautstärke des Mikrofons
lobby-try-speaker = Lautsprecher testen
lobby-try-mic = Sich selbst hören
lobby-trying = Drei Sekunden sprechen, dann zuhören …
settings-sound = Ton in Anrufen
sound-echo = Echounterdrückung
sound-echo-more = Was dein Lautsprecher spielt, wird nicht zurückgesendet.
sound-noise = Rauschunterdrückung
sound-noise-more = Gleichmäßiges Rauschen wird leiser.
sound-gain = Gleichmäßige Lautstärke
sound-gain-more = Leise Stimmen werden lauter, laute begrenzt.
sound-chimes = Töne beim Kommen und Gehen
sound-chimes-more = Ein kurzer Ton, wenn jemand kommt oder geht.
settings-notify = Hinweise des Desktops
settings-notify-more = Für Nachrichten, Klopfen und Anrufe, während du woanders hinsiehst.
person-volume = Wie laut { $name } ist
person-mute = Stummschalten
person-lower-hand = Hand senken
person-out-of-call = Aus dem Anruf entfernen
toast-muted-by = { $name } hat dich stummgeschaltet
toast-hand-lowered = { $name } hat deine Hand gesenkt
toast-hand-spoke = Deine Hand ging herunter, weil du sprichst
undo = Rückgängig
notify-knock = { $name } möchte herein
notify-call = { $name } ist im Anruf
keys-hand = Hand heben oder senken
keys-stats = Zahlen des Anrufs
keys-aliases = Mikrofon und Kamera, überall
keys-react = Reagieren
keys-press = Taste drücken …
keys-change = { $what }: { $key }. Andere Taste wählen
keys-reset = Wieder die üblichen Tasten
confirm-end = Den Anruf für alle beenden?
confirm-end-more = Alle verlassen den Anruf. Der Raum bleibt.
confirm-end-act = Für alle beenden
error-removed-from-call = Du bist nicht mehr im Anruf.
