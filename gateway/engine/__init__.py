"""What runs a job and lets it be read: knows protocols, never a concrete provider or store."""
