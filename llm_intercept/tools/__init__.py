"""What keeps a home in order: backups, cleaning up, keys, imports, checks. Commands and pages use it."""
