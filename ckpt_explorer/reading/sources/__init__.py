"""Where bytes come from: a path, an upload, an address, a folder, or an archive with a checkpoint in it."""
