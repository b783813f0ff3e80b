"""A peer of libtorrent 2.0, for the measures of files: `seed FILE LISTEN TORRENT` or `fetch TORRENT LISTEN FOLDER PEER…`, where LISTEN
and PEER are ADDRESS:PORT. Prints `ready`, waits for a line, and prints the seconds that it took and its CPU time when it is done."""
import resource
import sys
import time

import libtorrent as lt


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def session(listen):
    return lt.session({
        "listen_interfaces": listen,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        # uTP gives way to everything: over TCP it is much faster here.
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "allow_multiple_connections_per_ip": True,
        "unchoke_slots_limit": -1,
        "connections_limit": 200,
        "mixed_mode_algorithm": 0,
        "alert_mask": lt.alert.category_t.error_notification,
        # Peers of one host and of one LAN are not held back.
        "rate_limit_ip_overhead": False,
    })


role = sys.argv[1]
if role == "seed":
    path, listen, torrent = sys.argv[2:5]
    files = lt.file_storage()
    lt.add_files(files, path)
    made = lt.create_torrent(files, flags=lt.create_torrent.v1_only)
    folder = path.rsplit("/", 1)[0]
    lt.set_piece_hashes(made, folder)
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))
    host = session(listen)
    handle = host.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder, "flags": lt.torrent_flags.seed_mode})
    print("ready", flush=True)
    sys.stdin.readline()
    print("done", 0.0, cpu(), flush=True)
else:
    torrent, listen, folder = sys.argv[2:5]
    host = session(listen)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    handle = host.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
    peers = [peer.rsplit(":", 1) for peer in sys.argv[5:]]
    asked = -10.0
    while not handle.status().is_seeding:
        if time.monotonic() - asked > 2.0:
            # Whoever was not there yet is tried again.
            asked = time.monotonic()
            for address, port in peers:
                handle.connect_peer((address, int(port)))
        time.sleep(0.01)
    print("done", time.monotonic() - began, cpu(), flush=True)
    # It goes on serving the others until it is told to stop.
    sys.stdin.readline()
