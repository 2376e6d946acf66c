"""Who lives here: people, their faces and consents, and what they may pass. Its own files, its own keys."""
