"""The command line: `loumen NOUN [VERB]`, one module a noun."""
