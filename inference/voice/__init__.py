"""Voice: what is said in a recording, from the sound's bytes to words. `sound` and `server` run in the environment of the voice engine alone."""
