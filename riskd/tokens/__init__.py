"""Who calls: API keys, their scopes, and the file that holds their digests."""
