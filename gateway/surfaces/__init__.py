"""The doors: each turns its own wire into jobs, and events into its own frames."""
