"""Training and evaluation: free functions from a configuration to a run folder."""
