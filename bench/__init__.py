"""What the gateway costs, beside a bare aiohttp server that does the same work."""
