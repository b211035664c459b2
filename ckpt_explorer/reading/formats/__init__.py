"""One file a format: from bytes to the described objects of a checkpoint and the places of its storages."""
