"""Small real servers and clients on loopback, one a file; imports nothing of the rest."""
