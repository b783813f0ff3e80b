# Everyday words
back = Back
cancel = Cancel
close = Close
copy-what = Copy { $what }
dismiss = Dismiss
retry = Try again
rooms = Rooms
save = Save
search = Search
settings = Settings
you = You

# First start
welcome-title = Welcome to Conclave
welcome-body = Meet, talk and chat with people on your network. End-to-end encrypted, without an account and without a server.
welcome-name = Your name
welcome-name-hint = What others will see
welcome-protection = Where your keys and messages are kept safe
welcome-keyring = System keyring
welcome-keyring-more = Opens by itself when you are signed in to this computer.
welcome-passphrase = Passphrase
welcome-passphrase-more = Asked for at every start. Works on any computer.
welcome-insecure = Unprotected
welcome-insecure-more = For a demonstration only. Anyone with this disk reads everything.
welcome-passphrase-field = Passphrase
welcome-passphrase-again = The same once more
welcome-passphrase-short = At least 8 characters.
welcome-passphrase-differs = The two are not the same.
welcome-passphrase-warning = Nobody can recover it for you. Write it down where only you will look.
welcome-insecure-warning = Your keys and messages will lie on this disk unprotected.
welcome-insecure-accept = I understand, this is only for trying out
welcome-start = Get started
welcome-unlock-title = Welcome back
welcome-unlock-body = Your passphrase opens what is kept on this computer.
welcome-unlock = Unlock
welcome-opening-title = Conclave
welcome-opening-body = Your rooms and messages are kept encrypted on this computer.
welcome-opening = Opening…
welcome-aside = What was kept here before is damaged. It was put aside unchanged, and this is a fresh start.

# Sidebar
new-meeting = New meeting
join-by-link = Join by link
room-last-message = { $name }: { $message }
room-members =
    { $count ->
        [one] Only you so far
       *[other] { $count } people
    }
room-row =
    { $unread ->
        [0] { $name }
        [one] { $name }, one unread message
       *[other] { $name }, { $unread } unread messages
    }{ $call ->
        [0] { "" }
       *[other] , call with { $call }
    }
insecure-notice = Stored unprotected
insecure-notice-more = Keys and messages lie on this disk without protection. This is for demonstrations only.
join-row-searching = Looking for { $room }…
join-row-waiting = Waiting to be let in to { $room }…
join-row-failed = Could not join { $room }

# Before there is a room
first-title = No rooms yet
first-body = Start a meeting and invite people with a link or a QR code, or join with a link that somebody gave you.
choose-title = Choose a room
choose-body = Your rooms are at the left.

# A room
room-unknown = a room
room-gone = You are no longer in this room. What was said stays readable here.
room-gone-short = No longer a member
room-subtitle =
    { $count ->
        [one] Only you
       *[other] { $count } people, { $online } here now
    }
room-more = More about this room
room-leave = Leave the room
room-delete = Delete from this computer
day-today = Today
day-yesterday = Yesterday
day-date = { $day } { $month ->
        [1] January
        [2] February
        [3] March
        [4] April
        [5] May
        [6] June
        [7] July
        [8] August
        [9] September
        [10] October
        [11] November
       *[12] December
    } { $year }

# Chat
chat-title = Chat
chat-empty = No messages yet
chat-empty-more = Say hello. What you write here reaches everyone in the room, also those who come back later.
chat-empty-viewer = What is written here will appear for you.
chat-hint = Message { $room }
chat-send = Send
chat-emoji = Insert an emoji
chat-react = React
chat-reply = Reply
chat-edit = Edit
chat-delete = Delete
chat-edited = (edited)
chat-deleted = This message was deleted
chat-newer = This is from a newer version of Conclave
chat-new = NEW
chat-latest = Latest messages
chat-replying = Replying to { $name }
chat-editing = Editing your message
chat-quote-far = An earlier message
chat-mention = Mention somebody
chat-viewer = You can read along. Only members write here.
chat-invite-link = Invitation to a room
search-hint = Words in this room
search-what = Find messages by the words in them.
search-none = Nothing found.

# People
people-title = People
people-waiting =
    { $count ->
        [one] Wants to come in
       *[other] Want to come in · { $count }
    }
people-here = Here now · { $count }
people-away = Away · { $count }
people-alone = Nobody else is in this room yet. Send somebody an invitation.
people-in-call = In the call
person-unknown = Someone
person-you = { $name } (you)
person-menu = More about { $name }
person-details = Details
person-make = Make { $role }
person-remove = Remove from the room…
person-online = Here now
person-offline = Away
person-frozen = Excluded: contradicted themselves
person-frozen-more = This person's device signed two different things as one. Nothing more of theirs is accepted; an admin should remove it.
person-device = Device key
person-account = Account key
knock-wants-in = wants to come in
knock-compare = Ask for this code by voice. Both of you see the same one.
knock-approve = Let in
knock-refuse = Refuse
role-viewer = Viewer
role-member = Member
role-admin = Admin
role-owner = Owner
role-viewer-more = Viewers see and hear everything, and write nothing that lasts.
role-member-more = Members write, call and share.
role-admin-more = Admins also invite people, let them in and remove them.
role-owner-more = The owner founded the room and can do everything in it.

# Verification
verification = Encryption and verification
code-call = Call code
code-call-more = Everyone here sees the same digits, unless somebody stands between you.
code-joined = Changed because { $joined } came.
code-left = Changed because { $left } went.
code-joined-left = Changed because { $joined } came and { $left } went.
code-renewed = The keys were renewed. Nobody came or went.
code-pairwise = Your code with this person
code-pairwise-more = Read it to each other, or hold the screens side by side. It is the same on both, and never changes.
code-qr = Code as a QR code
scan-drop = You can also drop a photograph of their code here.
scan-nothing = There is no code in that picture.
verify-confirm = It matches
verify-clear = Not verified any more
verify-accept = Accept without comparing
person-verified = Verified
person-verified-more = You have compared codes with this person.
person-key-changed = Another key under this name
person-key-changed-more = Somebody with another key had this name before. It may be a new device, or somebody else. No sound or picture goes to or comes from it until you have verified or accepted it.

# Invitations
invite-title = Invite people
invite-people = Invite people
invite-not-allowed = Only admins of this room can invite. Ask one of them for a link.
invite-uses = How many may come
invite-uses-one = One
invite-uses-ten = 10
invite-uses-many = 100
invite-expires = Valid for
invite-hour = An hour
invite-day = A day
invite-week = A week
invite-role = They come as
invite-approval = Ask before letting in
invite-approval-more = Someone who knocks waits until an admin agrees.
invite-make = Create invitation
invite-new = Create another
invite-copy = Copy link
invite-link = Invitation link
invite-qr = Invitation as a QR code
invite-terms =
    { $uses ->
        [one] For one person, until { $day }, { $time }.
       *[other] For up to { $uses } people, until { $day }, { $time }.
    }
invite-open = Links that let people in
speak-title = Say a code
speak-body = For somebody on this network: a number and three words let one person in, without asking.
speak-make = Make a code
speak-another = Make another code
speak-stop = Take the code back
speak-until = Until { $time }.
speak-failed = Until { $time }. Wrong words: { $count } of 3.
speak-used = Somebody came in by this code.
speak-expired = The ten minutes are over.
speak-burnt = Three times the words were wrong: the code lets nobody in any more.
speak-withdrawn = The code was taken back.
invite-open-terms = { $name }: { $terms }
invite-close = Close link
invite-careful = Whoever has the link can knock. Send it only to those you mean.

# A new room
new-room-body = A room keeps its chat and can hold a call at any time.
new-room-name = Name of the room
new-room-name-hint = Design review
new-room-approval = Ask before letting in
new-room-approval-more = An admin agrees to everyone who knocks.
new-room-history = Newcomers can read back
new-room-history-more = They see what was written before they came.
new-room-create = Create room

# Joining
join-body = Paste the invitation that you were given, or type the code that somebody said to you.
join-link = Invitation link or code
join-link-hint = conclave://join/1#…, or 42 apple river stone
join-address = Address (optional)
join-address-hint = 192.168.1.20:7401
join-address-note = Only if the room is not found by itself.
join-act = Join
join-spoken-name = whoever said code { $number }
join-spoken-searching = It asks every Conclave on this network for this code, and keeps trying as long as you wait.
join-cancel = Stop trying
join-another = Try another link
join-invited = You are invited to “{ $room }”.
join-searching-title = Looking for { $room }…
join-searching-nobody = Nobody of this room answers yet, and no other Conclave is seen on this network. It keeps trying as long as you wait.
join-searching-some = Others are on this network, but nobody of this room answers yet. It keeps trying as long as you wait.
join-hints = What may help
join-tried = What was tried
join-waiting-title = Waiting to be let in
join-waiting-body = An admin of the room sees that you knock. Tell them this code by voice, so that they know it is you.
join-code = Your code
join-failed-title = That did not work

# The network
net-interface = { $name }: { $address }
net-multicast-on = Looking for neighbours by multicast
net-multicast-off = No multicast here: neighbours cannot be found by themselves
net-neighbours =
    { $count ->
        [0] No other Conclave is seen
        [one] One other Conclave is seen
       *[other] { $count } others are seen
    }
net-dial = { $address }: { $outcome }

# Devices
device-camera = Camera
device-mic = Microphone
device-speaker = Speaker
device-screen = Screen
device-no-camera = No camera found
device-no-mic = No microphone found
device-no-speaker = No speaker found
device-no-screen = Nothing to share found

# Lobby
lobby-first = Nobody is inside yet. You start the call.
lobby-inside =
    { $more ->
        [0] { $names } inside
       *[other] { $names } and { $more } more inside
    }
lobby-start = Start call
lobby-join = Join call
lobby-encrypted = End-to-end encrypted
lobby-preview = Preview of your camera
lobby-camera-off = Your camera is off
lobby-camera-starting = Starting the camera…

# Call
call-start = Start call
call-join = Join call
call-back = Back to call
call-running =
    { $count ->
        [one] One person is in a call
       *[other] { $count } people are in a call
    }
call-show-rooms = Show rooms, stay in the call
call-alone = Nobody else is here yet.
call-mute = Mute
call-unmute = Unmute
call-camera-on = Turn camera on
call-camera-off = Turn camera off
call-share = Share screen
call-share-stop = Stop sharing
call-deafen = Silence everyone
call-undeafen = Hear everyone again
call-record = Record
call-record-stop = Stop recording
call-recording-by = { $name } records
call-recording-me = You are recording
call-leave = Leave
call-layout-grid = Layout: grid
call-layout-spotlight = Layout: spotlight
tile-screen = { $name }'s screen
tile-own-screen = Your screen
tile-connecting = Connecting…
tile-reconnecting = Reconnecting…
tile-mismatch = Not who they signed as. Nothing of theirs is shown.
tile-key-changed = Another key under a known name. Nothing is sent or shown until you verify or accept it.
tile-rtt = Round trip { $ms } ms
path-lan = Path: this network
path-direct = Path: direct
path-relay = Path: through the team’s relay
path-carried = The relay carried { $mb } MB
tile-rate = { $down } kbit/s in, { $up } kbit/s out
tile-fps = { $fps } pictures a second
tile-lost = { $pct } % of the sound lost
spoken-mic-on = microphone on
spoken-mic-off = microphone off
spoken-speaking = speaking
share-title = What do you want to share?
share-body = Everyone in the call sees what you choose until you stop.
share-screens = Screens
share-windows = Windows
share-choose = Share this
share-text = Text and detail
share-text-more = Writing stays sharp. On a poor path it moves less often.
share-motion = Motion
share-motion-more = Films go on moving. On a poor path they become smaller.
share-fps = { $fps } a second
share-height = { $height } lines
share-none = There is nothing to share on this computer, or this platform is not supported yet.

# Questions
confirm-revoke = Remove { $name }?
confirm-revoke-more = { $name } loses access at once, also to a call that is under way. What they wrote stays.
confirm-revoke-act = Remove
confirm-leave = Leave “{ $name }”?
confirm-leave-more = You will need a new invitation to come back. What was said stays readable on this computer.
confirm-leave-act = Leave room
confirm-delete-room = Delete “{ $name }” from this computer?
confirm-delete-room-more = You leave the room, and its messages are removed from this computer. This cannot be undone.
confirm-delete-room-act = Delete
confirm-delete-message = Delete this message?
confirm-delete-message-more = It disappears for everyone. This cannot be undone.
confirm-delete-message-act = Delete
confirm-wipe = Remove everything from this computer?
confirm-wipe-more = Your keys, rooms, messages and files go, and Conclave stops. Without a backup or another device you cannot be this person again. This cannot be undone.
confirm-wipe-act = Remove everything
confirm-record = Record this call?
confirm-record-more = Everyone in the call is told. What you receive is kept in { $folder }.
confirm-record-act = Start recording

# Settings
settings-appearance = Appearance
settings-profile = Profile
settings-devices = Devices
settings-network = Network
settings-theme = Theme
theme-system = As the system
theme-light = Light
theme-dark = Dark
settings-text-size = Text size
settings-language = Language
language-system = As the system
settings-motion = Reduce motion
settings-motion-more = Nothing slides or fades.
settings-name-note = Everyone in your rooms sees the new name.
settings-secrets = Where your keys are kept
settings-wipe = This computer
settings-wipe-more = Removes your keys, every room and every file of Conclave from this computer.
settings-wipe-act = Remove everything …
settings-refresh = Look again
settings-network-more = What this computer sees of the network, for when somebody is not found.
settings-listening = Reachable at
protection-keyring = In the keyring of this computer.
protection-passphrase = Behind your passphrase.
protection-insecure = Unprotected on this disk. For demonstrations only.

# Keys
keys-title = Keyboard
keys-body = These work in a call. Letters do nothing while you type.
keys-mic = Mute or unmute
keys-camera = Camera on or off
keys-talk = Hold to talk
keys-share = Share screen
keys-chat = Chat
keys-people = People
keys-files = Files
keys-layout = Grid or spotlight
keys-full-screen = Full screen
keys-send = Send a message
keys-edit-last = Edit your last message
keys-list = This list

# Notices
toast-copied = Copied
toast-name-saved = Your name was changed
toast-joined = You are in { $room }
toast-knock = { $name } wants to come in to { $room }
toast-knock-action = Show
toast-member-joined = { $name } joined { $room }
toast-member-revoked = { $name } is no longer in { $room }
toast-equivocated = { $name }'s device contradicted itself and was excluded
toast-message-far = That message is further up. Scroll to it to load it.
toast-call-left = { $name } left the call
toast-call-lost = The connection to { $name } was lost
toast-call-revoked = { $name } was removed from the call
toast-call-mismatch = The connection to { $name } was ended: the other side is not who they signed as
toast-recording-on = { $name } is recording this call
toast-recording-off = { $name } stopped recording
toast-no-camera = No camera was found on this computer.
toast-no-mic = No microphone was found on this computer.

# Errors, by the node's code
error-bad-request = That could not be understood.
error-bad-version = This command is of another version.
error-unknown-room = This room is not on this computer any more.
error-unknown-element = This page or element is not on the board any more.
error-unknown-message = This message is not here any more.
error-unknown-device = This person is not here any more.
error-not-permitted = Your role in this room does not allow that.
error-not-member = You are not a member of this room any more.
error-bad-text = This text is too long, empty or has characters that cannot be shown.
error-quota-exceeded = That was a lot in a short time. Wait a moment and try again.
error-link-invalid = This is not a Conclave invitation.
error-link-damaged = A piece of this link is missing or changed. Copy the whole of it and try again.
error-link-version = This link is from another version of Conclave. Update, and try again.
error-link-expired = This invitation has expired. Ask for a new one.
error-link-used-up = This invitation has been used up. Ask for a new one.
error-link-revoked = This invitation is no longer valid. Ask for a new one.
error-refused = An admin of the room said no.
error-already-member = You are in this room already.
error-nobody-found = Nobody of this room could be found.
error-peer-version = The other side runs another version of Conclave. Both should update.
error-code-wrong = The words are not those of the code. Ask for them again.
error-code-mismatch = The keys are not the same on both sides. Either this is another person's code, or someone stands between you: do not trust it.
error-call-full = This call is full: eight people are in it.
error-not-in-call = You are not in a call.
error-already-in-call = You are in another call. Leave it first.
error-device-failed = A device could not be used.
error-unsupported = This does not work on this platform yet.
error-unreachable = This address could not be reached.
error-store-in-use = Conclave is running already with this data. Use the window that is open, or close it first.
error-store-empty = Nothing is kept here yet.
error-store-exists = There is somebody's data here already.
error-store-locked = That did not open it. Check the passphrase, or choose another way to keep your keys.
error-store-damaged = What is kept on this computer is damaged. It was put aside and nothing was overwritten.
error-store-newer = This data was written by a newer version of Conclave. Update to open it.
error-store-failed = The disk refused. It may be full or write-protected.
error-busy = Too much at once. Try again in a moment.
error-stopped = Conclave's engine has stopped. Close the window and start again.

# Files

files-title = Files
files-share = Share files
files-share-folder = Share a folder
files-drop = Or drop files on the window, or paste them.
files-none = No files yet
files-none-more = What people share here stays on their devices until somebody fetches it.
file-about = { $size } · { $who }
file-about-folder =
    { $count ->
        [one] { $size } · one file · { $who }
       *[other] { $size } · { $count } files · { $who }
    }
file-waiting = Waiting for somebody who has it
file-fetching = { $done } of { $size } · { $speed }/s from { $peers }
file-paused = Paused at { $done } of { $size }
file-sending = Sending { $speed }/s to others
file-shared = Shared from this device
file-complete = On this device
file-sealed = Kept sealed, for others to fetch
file-reading = Reading { $name }
file-progress = Progress of { $name }
file-get = Download { $name }
file-get-into = Download { $name } into a folder
file-seed = Keep { $name } sealed for others
file-pause = Pause { $name }
file-resume = Go on with { $name }
file-cancel = Cancel { $name }
file-open = Open { $name }
file-open-folder = Show { $name } in its folder
file-preview = Look into { $name }
file-preview-of = A look into { $name }
file-preview-none = There is nothing to show of this file.
file-remove = Stop sharing { $name }
size-b = { $n } B
size-kib = { $n } KiB
size-mib = { $n } MiB
size-gib = { $n } GiB
size-tib = { $n } TiB
left-seconds =
    { $n ->
        [one] one second left
       *[other] { $n } seconds left
    }
left-minutes =
    { $n ->
        [one] one minute left
       *[other] { $n } minutes left
    }
left-hours =
    { $n ->
        [one] one hour left
       *[other] { $n } hours left
    }
toast-file-offered = { $who } shares { $name }
toast-file-complete = { $name } is here
toast-file-stopped = { $name }: { $why }
confirm-file = Stop sharing { $name }?
confirm-file-more = Nobody can fetch it here any more. Those who have it keep it.
confirm-file-act = Stop sharing
error-unknown-file = This file is shared no more.
error-file-stale = The file was changed after it was shared. Share it again.
error-file-gone = The file that was shared is not there any more.
error-file-refused = This cannot be shared or written.
error-file-failed = The disk refused.
error-disk-full = There is not enough space on the disk.
error-target-gone = The folder it was to go into is not there any more.
error-permission-denied = Reading or writing there is not permitted.
error-drive-gone = The drive does not answer. It may have been unplugged.
settings-team = Team
team-none = You belong to no team. Whoever runs a team's node gives you a link: paste it where you join a room.
team-member = { $team }, where you are { $name }.
team-online = Its node answers.
team-offline = Its node does not answer. What works without it goes on.
team-relayed = People behind other routers reach you through it.
team-joined = You belong to { $team } now, as { $name }.
error-no-team = You belong to no team.
error-team-refused = The team's node said no.
error-team-fraud = The team's node is not what it was before. It is not believed.
# The whiteboard
keys-board = Board
board = Board
board-canvas = Board, { $count } elements
board-selected = Selected: { $what }
board-selected-many = { $count } selected
board-empty = Draw something. Everyone in the room sees it.
board-empty-viewer = Nothing has been drawn here yet.
board-viewer = You can look, not draw: your role is viewer.
board-close = Close the board
board-menu = Board menu
board-follow = Follow { $name }
board-unfollow = Stop following { $name }
board-following = You see what { $name } sees
board-tool-keep = Keep the tool after use
board-tool-kept = The tool is kept
board-tool-hand = Hand: move the page
board-tool-select = Select
board-tool-rect = Rectangle
board-tool-diamond = Diamond
board-tool-ellipse = Ellipse
board-tool-arrow = Arrow
board-tool-line = Line
board-tool-pen = Pen
board-tool-text = Text
board-tool-note = Sticky note
board-tool-frame = Frame
board-tool-eraser = Eraser
board-tool-laser = Laser pointer
board-kind-pen = Stroke
board-kind-image = Picture
board-hint-line = Drag for a line; click for a line of several points
board-hint-line-more = Click for the next point, Enter to finish
board-hint-eraser = Drag over what is to go; Alt spares it
board-hint-text = Click where the text is to stand
board-text-field = Text on the board
board-colour-black = Black
board-colour-red = Red
board-colour-green = Green
board-colour-blue = Blue
board-colour-orange = Orange
board-colour-yellow = Yellow
board-colour-purple = Purple
board-colour-none = None
board-width-thin = Thin
board-width-bold = Bold
board-width-heavy = Heavy
board-dash-solid = Solid
board-dash-dashed = Dashed
board-dash-dotted = Dotted
board-font-small = Small
board-font-medium = Medium
board-font-large = Large
board-font-huge = Very large
board-text-left = Text at the left
board-text-center = Text in the middle
board-text-right = Text at the right
board-corners-sharp = Sharp corners
board-corners-round = Round corners
board-head-arrow = Arrow head
board-head-triangle = Triangle head
board-head-dot = Dot head
board-head-both = Heads at both ends
board-style-stroke = Stroke
board-style-fill = Fill
board-style-line = Line style
board-style-text = Text style
board-style-opacity = Opacity
board-order = Order and more
board-order-front = To the front
board-order-up = Forward
board-order-down = Backward
board-order-back = To the back
board-align = Align
board-align-left = Align left
board-align-center = Align centres
board-align-right = Align right
board-align-top = Align top
board-align-middle = Align middles
board-align-bottom = Align bottom
board-distribute-across = Equal gaps across
board-distribute-down = Equal gaps down
board-group = Group
board-ungroup = Ungroup
board-lock = Lock
board-unlock = Unlock
board-copy = Copy
board-cut = Cut
board-duplicate = Duplicate
board-delete = Delete
board-select-all = Select all
board-undo = Undo
board-redo = Redo
board-zoom = { $percent } %
board-zoom-in = Zoom in
board-zoom-out = Zoom out
board-zoom-fit = Show everything
board-zoom-reset = Zoom to 100 %
board-grid-on = Show the grid
board-grid-off = Hide the grid
board-snap-on = Snap to others
board-snap-off = Do not snap to others
board-minimap = Map of the page: click to go there
board-minimap-on = Show the map
board-minimap-off = Hide the map
board-page-new = Page
board-page-add = New page
board-page-rename = Rename the page
board-page-earlier = Move left
board-page-later = Move right
board-page-delete = Delete the page
board-history = History
board-history-open = Look back in time
board-history-close = Back to the present
board-history-none = Nothing has happened on this page yet.
board-history-moment = Moment { $at } of { $count }
board-history-by = by { $name }
board-history-restore = Restore this
board-export-png = Save as PNG
board-export-svg = Save as SVG
board-export-pdf = Save as PDF
board-export-excalidraw = Save for Excalidraw
board-insert-picture = Insert pictures
board-paste-picture = Paste a picture
board-import = Open a file of Excalidraw
board-file-done = Done.
board-keys-undo = Undo, redo
board-keys-clipboard = Copy, cut, paste
board-keys-duplicate = Duplicate
board-keys-delete = Delete what is selected
board-keys-all = Select all
board-keys-group = Group, ungroup
board-keys-order = Forward, backward
board-keys-nudge = Move what is selected; with Shift farther
board-keys-next = Next element
board-keys-enter = Place an element, write in it
board-keys-fit = Show everything, show the selection
board-keys-pan = Hold to move the page
# Signs and figures of a call
call-hand = Raise hand
call-hand-lower = Lower hand
call-hands = Hands: { $names }
call-react = React
call-react-with = React with { $emoji }
call-muted-hint = You are muted. Hold { $key } to talk.
call-end-all = End for everyone
spoken-hand = hand raised, place { $place }
stats-title = Figures
stats-quality = Quality: { $quality }
stats-estimate = The path carries about { $kbps } kbit/s
stats-lost = { $heard } % of their voice lost, { $sent } % of what you send
stats-pictures = { $fps } pictures a second, longest pause { $frozen } ms
stats-rate = kbit/s in and out
stats-rtt = Round trip, ms
stats-loss = Voice lost, %
stats-fps = Pictures a second
quality-excellent = Excellent
quality-good = Good
quality-poor = Poor connection
quality-lost = Connection lost
lobby-meter = Loudness of the microphone
lobby-try-speaker = Test speaker
lobby-try-mic = Hear yourself
lobby-trying = Speak for three seconds, then listen…
settings-sound = Sound in calls
sound-echo = Echo cancellation
sound-echo-more = What your speaker plays is not sent back.
sound-noise = Noise suppression
sound-noise-more = Steady noise is turned down.
sound-gain = Even loudness
sound-gain-more = Quiet voices are turned up, loud ones limited.
sound-chimes = Sounds for coming and going
sound-chimes-more = A short sound when somebody joins or leaves.
settings-notify = Notices of the desktop
settings-notify-more = For messages, knocks and calls while you look elsewhere.
person-volume = How loud { $name } is
person-mute = Mute
person-lower-hand = Lower hand
person-out-of-call = Remove from the call
toast-muted-by = { $name } muted you
toast-hand-lowered = { $name } lowered your hand
toast-hand-spoke = Your hand went down because you spoke
undo = Undo
notify-knock = { $name } wants to come in
notify-call = { $name } is in the call
keys-hand = Raise or lower your hand
keys-stats = Figures of the call
keys-aliases = Microphone and camera, everywhere
keys-react = React
keys-press = Press a key…
keys-change = { $what }: { $key }. Choose another key
keys-reset = The usual keys again
confirm-end = End the call for everyone?
confirm-end-more = Everyone leaves the call. The room stays.
confirm-end-act = End for everyone
error-removed-from-call = You are out of the call.
