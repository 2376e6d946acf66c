"""The way up: what the journal holds goes to the platform, once and in its place; commands come down."""
