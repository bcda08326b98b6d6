"""Tells the outside world: the decision record, its writer, its one reader, redaction."""
