"""A past log under another policy or model: what would have been decided, side by side with what was."""
