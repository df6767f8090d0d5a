"""Pictures of splits and results."""
