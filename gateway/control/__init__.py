"""Control: HTTP on a unix socket with peer credentials, and the client that speaks to it."""
