"""The commands: a module each, which declares what its command takes and carries it out."""
