"""Images decoded once, in memory or in files, in place of decoding them in every epoch."""
