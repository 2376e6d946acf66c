"""Vision, apart: the daemon's side is `client`; everything else runs in a process of its own."""
