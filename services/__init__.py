"""The deployables: one folder is one pod."""
