"""`gateway.toml`: typed, every mistake named with file, line, key and mend."""
